"""The memories in a folder of Qdrant's local mode, which is where Mem0 keeps them by default.

Each point is a pickle in SQLite. A pickle may run any code when it is read, so this reads the few classes that a point is made of,
as plain values, and refuses every other name: a store from a stranger cannot do more than be refused. Qdrant is not needed.
"""

from __future__ import annotations

import io
import json
import pickle
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from msgspec import Struct

from memfold.memory.errors import InvalidInput

_OWN = ("mem0migrations",)
"""Collections in which Mem0 keeps what is its own."""


class Point(Struct, frozen=True):
    """`flaw` says why a point cannot be read; its payload is empty then."""

    point_id: str
    payload: dict[str, Any]
    flaw: str = ""


def collection_in(folder: Path, wanted: str | None) -> Path:
    """The SQLite file of the collection with the memories. Raises InvalidInput where there is none, or more than one to choose from."""
    try:
        names = sorted(json.loads((folder / "meta.json").read_text())["collections"])
    except (OSError, ValueError, KeyError, TypeError) as wrong:
        raise InvalidInput(f"{folder} is no folder of Qdrant's local mode: meta.json: {wrong}") from None
    names = [name for name in names if not name.endswith(("_entities", "-entities")) and name not in _OWN]
    if wanted is not None and wanted not in names:
        raise InvalidInput(f"{folder} has no collection {wanted!r}; there are {', '.join(names) or 'none'}")
    if wanted is None and len(names) != 1:
        raise InvalidInput(
            f"{folder} has {len(names)} collections ({', '.join(names)}); say which one holds the memories: --collection NAME"
        )
    return folder / "collection" / (wanted or names[0]) / "storage.sqlite"


def points_in(path: Path) -> Iterator[Point]:
    """Every point of a collection. Raises InvalidInput for what is no such file; one point that is damaged is a Point with a flaw."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            for name, blob in db.execute("SELECT id, point FROM points ORDER BY rowid"):
                yield _point(str(name), blob)
    except sqlite3.Error as wrong:
        raise InvalidInput(f"{path} cannot be read as Qdrant's local storage: {wrong}") from None


def _point(name: str, blob: bytes) -> Point:
    try:
        fields = _Reader(io.BytesIO(blob)).load().fields
        return Point(str(fields["id"]), dict(fields["payload"] or {}))
    except (
        pickle.UnpicklingError,
        EOFError,
        AttributeError,
        KeyError,
        IndexError,
        TypeError,
        ValueError,
    ) as wrong:
        return Point(name, {}, f"the point cannot be read: {wrong}")


class _Plain:
    """Stands for a class of Qdrant's: keeps its fields and does nothing."""

    fields: dict[str, Any]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.fields = state["__dict__"]


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "qdrant_client" and name in ("PointStruct", "SparseVector"):
            return _Plain
        raise pickle.UnpicklingError(f"it names {module}.{name}, which no memory is made of")
