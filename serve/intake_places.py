"""Where each source stands: one small file a source in the home, replaced durably after what it tells of is in the log.

It saves reading again what is in the log. That nothing counts twice does not rest on it, but on the commands' ids.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from memfold.infra.home import held
from memfold.memory.errors import IngestRunning, InvalidInput
from memfold.memory.intake_source import Place
from memfold.projections.durable import replace_durably
from memfold.serve.source_mapping import SourceMapping


class Places:
    """How far one source was read under its mapping."""

    def __init__(self, path: Path | None, told: dict[str, Any], places: dict[int, Place]) -> None:
        self._path, self._told, self.by_partition = path, told, places

    def move(self, places: dict[int, Place]) -> None:
        """Durable when it returns."""
        if places.items() <= self.by_partition.items():
            return
        self.by_partition |= places
        if self._path is not None:
            told = {partition: asdict(place) for partition, place in self.by_partition.items()}
            replace_durably(self._path, json.dumps(self._told | {"places": told}, indent=1).encode())

    def forget(self) -> None:
        """Begin at the beginning."""
        self.by_partition.clear()


@contextmanager
def places_of(
    folder: Path, name: str, identity: str, mapping: SourceMapping, another_mapping: bool
) -> Iterator[Places]:
    """The places of a source, which no other process reads meanwhile.

    Raises IngestRunning; InvalidInput naming what changed where it was begun under another mapping, unless `another_mapping`.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    named = hashlib.sha256(json.dumps([mapping.source, identity]).encode()).hexdigest()[:32]
    path = folder / f"{named}.json"

    def taken(holder: str) -> IngestRunning:
        return IngestRunning(
            f"{name} is being ingested by process {holder or 'unknown'}; stop it, or let it go on"
        )

    with held(folder / f"{named}.lock", str(os.getpid()), taken):
        begun = json.loads(path.read_bytes()) if path.exists() else {"places": {}}
        mine = mapping.model_dump(mode="json")
        if not another_mapping and (changed := _changed(begun.get("mapping", mine), mine)):
            raise InvalidInput(
                f"{name} was begun under another mapping: {changed}. Put that back; or go on from where it stands with "
                "--another-mapping; or give the mapping another `source`, which reads everything again as new"
            )
        places = {int(partition): Place(**place) for partition, place in begun["places"].items()}
        yield Places(path, {"name": name, "mapping": mine}, places)


def _changed(before: dict[str, Any], now: dict[str, Any], inside: str = "") -> str:
    """What is not as it was, in words."""
    told = []
    for name in sorted({*before, *now}):
        was, has = before.get(name), now.get(name)
        if isinstance(was, dict) and isinstance(has, dict):
            told.append(_changed(was, has, f"{inside}{name}."))
        elif was != has:
            told.append(f"{inside}{name} was {_words(was)} and is {_words(has)}")
    return "; ".join(filter(None, told))


def _words(value: Any) -> str:
    return "not there" if value is None else ".".join(value) if isinstance(value, list) else str(value)
