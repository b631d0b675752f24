"""What a past is: the folder that `memfold replay at` makes, and what stands in it beside the data.

    <past>/building.json             while it is built: the manifest without digests
    <past>/subjects.json             whose data could be read when it was built
    <past>/archive/                  the records up to the moment, as they stand in the log: encrypted
    <past>/projections/vector/g0001  what they fold to, in the clear; graph/g0001 likewise
    <past>/past.json                 the manifest; written last: without it nobody opens the folder

There are no keys in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from memfold.memory.errors import InvalidInput, ShardDamaged
from memfold.projections.embedded_by import EmbeddedBy
from memfold.projections.generations import Generations

WHOLE, BUILDING, SUBJECTS, LOCK = "past.json", "building.json", "subjects.json", "rebuild.lock"
PROJECTIONS = ("vector", "graph")
FORMAT = 1


class Manifest(Struct, frozen=True):
    """`ends`: of each topic, for each partition the offset after the last record that is in. `digests`: of each projection's shards.

    `home` has the key store. `perhaps_short`: partitions of which the archive ended before the moment, where it was read
    instead of Kafka: what was written to them between its end and the moment is missing.
    """

    moment: datetime
    tenant: str
    home: str
    source: str
    ends: Mapping[str, list[int]]
    embedder: EmbeddedBy
    perhaps_short: list[int] = []
    digests: Mapping[str, list[str]] = {}
    format: int = FORMAT
    what_if: bool = False
    """Not what was, but what would have been: its events are those of a what-if."""


def read_manifest(folder: Path, name: str = WHOLE) -> Manifest | None:
    """None where there is none. Raises ShardDamaged for one that cannot be read."""
    path = folder / name
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except msgspec.MsgspecError as wrong:
        raise ShardDamaged(
            f"{path} cannot be read ({wrong}); delete {folder} and build it again with `memfold replay at`"
        ) from wrong
    if found.format != FORMAT:
        raise InvalidInput(f"{path} has format {found.format}, this memfold knows {FORMAT}: upgrade memfold")
    return found


def manifest_of(folder: Path) -> Manifest:
    """Raises InvalidInput for a folder that holds no past, or one that is half built."""
    found = read_manifest(folder)
    if found is not None:
        return found
    half = read_manifest(folder, BUILDING)
    if half is None:
        raise InvalidInput(f"{folder} holds no past; make one with `memfold replay at MOMENT -o {folder}`")
    raise InvalidInput(
        f"the past in {folder} is half built; `memfold replay at {half.moment.isoformat()} -o {folder}` goes on with it"
    )


def projections_of(folder: Path) -> dict[str, Generations]:
    return {name: Generations(folder / "projections", name) for name in PROJECTIONS}


def subjects_in(folder: Path) -> frozenset[str]:
    """Whose data stands in the past in the clear."""
    return msgspec.json.decode((folder / SUBJECTS).read_bytes(), type=frozenset[str])
