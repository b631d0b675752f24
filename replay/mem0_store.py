"""A Mem0 store on disk, read as the memories that an import takes: history from SQLite, what is said now from Qdrant's folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from memfold.memory.errors import InvalidInput
from memfold.replay.mem0_history import HistoryRow, history_in, versions_of
from memfold.replay.mem0_points import Point, collection_in, points_in

_IDS = ("user_id", "agent_id", "run_id")


class Offered(Struct, frozen=True):
    """A memory to import and where it stands in its source; `flaw`: why it cannot be one."""

    place: str
    memory: dict[str, Any]
    flaw: str = ""


class Mem0Store(Struct, frozen=True):
    """Where the two parts of a store are; either may be missing."""

    history: Path | None
    points: Path | None

    @classmethod
    def find(
        cls,
        path: Path,
        history: Path | None = None,
        vectors: Path | None = None,
        collection: str | None = None,
    ) -> Mem0Store:
        """The parts in a folder, as Mem0 and its examples name them, unless they are given. Raises InvalidInput."""
        if not path.exists():
            raise InvalidInput(
                f"{path} is not there; name the folder of Mem0's history.db, by default ~/.mem0"
            )
        found = history or (path if path.is_file() else path / "history.db")
        folders = [vectors] if vectors else [] if path.is_file() else [path, *sorted(path.iterdir())]
        stores = [folder for folder in folders if folder == vectors or (folder / "meta.json").exists()]
        if len(stores) > 1:
            names = ", ".join(str(one) for one in stores)
            raise InvalidInput(
                f"{path} has more than one folder of Qdrant: {names}; say which: --vectors FOLDER"
            )
        store = cls(
            found if history or found.exists() else None,
            collection_in(stores[0], collection) if stores else None,
        )
        if store.history is None and store.points is None:
            raise InvalidInput(
                f"{path} has neither a history.db nor a folder of Qdrant's local mode (meta.json). Where they are elsewhere: "
                "--history FILE --vectors FOLDER; Mem0's defaults are ~/.mem0/history.db and /tmp/qdrant"
            )
        return store

    def memories(self) -> Iterator[Offered]:
        """What is in the store, then what was deleted from it. Raises InvalidInput."""
        history = {} if self.history is None else history_in(self.history)
        for point in () if self.points is None else points_in(self.points):
            yield _current(point, history.pop(point.point_id, []))
        for memory_id, rows in history.items():
            yield _gone(memory_id, rows)


def _current(point: Point, rows: list[HistoryRow]) -> Offered:
    place = f"point {point.point_id}"
    if point.flaw:
        return Offered(place, {}, point.flaw)
    if rows and rows[-1].event == "DELETE":
        return Offered(
            place,
            {},
            f"row {rows[-1].row} of the history deletes it, and the store still has it: one of them is wrong",
        )
    ids = {name: point.payload[name] for name in _IDS if point.payload.get(name) is not None}
    return Offered(place, {"id": point.point_id, **ids, "versions": versions_of(rows, point.payload)})


def _gone(memory_id: str, rows: list[HistoryRow]) -> Offered:
    place = f"history rows {', '.join(str(row.row) for row in rows)}"
    if rows[-1].event != "DELETE":
        return Offered(
            place,
            {},
            f"the history tells of memory {memory_id}, and the store does not have it: it is not known whether it still holds",
        )
    return Offered(place, {"id": memory_id, "versions": versions_of(rows, None)})
