"""Builds a past: the log up to a moment, and what it folds to, in a folder that needs neither Kafka nor a worker.

Every step can be cut short and is taken up by the same call: the copy of the log and each shard say themselves how far they are,
and the manifest, which makes a past of the folder, is written last and in one step.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import structs

from memfold.memory.errors import InvalidInput, NoRoom
from memfold.projections.durable import replace_durably
from memfold.projections.embedded_by import record
from memfold.projections.generations import FIRST
from memfold.replay.build import BuiltShard, Origin, ShardTask, build
from memfold.replay.only_one import only_one
from memfold.replay.past_log import TOPICS, TopicLog, copy_log, end_at, subjects_of
from memfold.replay.past_manifest import (
    BUILDING,
    LOCK,
    PROJECTIONS,
    SUBJECTS,
    WHOLE,
    Manifest,
    projections_of,
    read_manifest,
)
from memfold.replay.progress import Watch, unwatched
from memfold.replay.rebuild import made_by
from memfold.replay.room import is_full
from memfold.schemas.errors import MemfoldError
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS


def build_past(
    folder: Path,
    moment: datetime,
    tenant: str,
    partitions: int,
    origin: Origin,
    log: TopicLog,
    done: Callable[[BuiltShard], None] = lambda built: None,
    watch: Watch = unwatched,
    *,
    what_if: bool = False,
) -> Manifest:
    """Build what was known at an aware moment into `folder`, or go on with it. `what_if`: `log` is not what was, but a shadow.

    Raises InvalidInput for a folder that holds something else, RebuildRunning, NoRoom, and as `build`; what was built stays
    for the next call.
    """
    check_folder(folder, moment, tenant, origin.home)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with only_one(folder, "memfold replay at"):
        check_folder(folder, moment, tenant, origin.home)
        try:
            return _built(folder, moment, tenant, partitions, origin, log, done, watch, what_if)
        except (MemfoldError, OSError) as failure:
            if not is_full(failure):
                raise
            raise NoRoom(
                f"no room in {folder}: the past is half built there. Free some space and call again, it goes on; or delete {folder}"
            ) from failure


def check_folder(folder: Path, moment: datetime, tenant: str, home: Path) -> None:
    """Raises InvalidInput unless the folder is new, empty, or holds the same past half built."""
    if folder.exists() and not folder.is_dir():
        raise InvalidInput(f"{folder} is a file; name a folder that is empty or not there yet")
    whole, half = read_manifest(folder), read_manifest(folder, BUILDING)
    if whole is not None:
        raise InvalidInput(
            f'{folder} holds the past of {whole.moment.isoformat()} already: open it with `Memory.open("{folder}")`, or name '
            "another folder"
        )
    if half is None:
        others = (
            sorted(path.name for path in folder.iterdir() if path.name != LOCK) if folder.is_dir() else []
        )
        # What a kill leaves of the first small file is nobody's.
        others = [name for name in others if not name.startswith(f".{BUILDING}-")]
        if others:
            raise InvalidInput(
                f"{folder} is not empty ({others[0]} is in it); name a folder that is empty or not there yet"
            )
        return
    if (half.moment, half.tenant, half.home) != (moment, tenant, str(home)):
        raise InvalidInput(
            f"{folder} holds a half built past of {half.moment.isoformat()} (tenant {half.tenant}, {half.home}); call with that "
            "moment to go on, or delete the folder, or name another one"
        )


def _built(
    folder: Path,
    moment: datetime,
    tenant: str,
    partitions: int,
    origin: Origin,
    log: TopicLog,
    done: Callable[[BuiltShard], None],
    watch: Watch,
    what_if: bool,
) -> Manifest:
    begun = read_manifest(folder, BUILDING) or _begun(folder, moment, tenant, partitions, origin, log)
    archive, generations = folder / "archive", projections_of(folder)
    copy_log(log, archive, begun.ends, watch)
    if not (folder / SUBJECTS).exists():
        # Before anything is in the clear: who is erased from here on is noticed by whoever opens the past.
        replace_durably(folder / SUBJECTS, msgspec.json.encode(sorted(_readable(archive, origin))))
    recorded = record(generations["vector"], FIRST, begun.embedder)
    if recorded != begun.embedder or begun.embedder != made_by(origin):
        raise InvalidInput(
            f"{folder} was begun with the embedder {begun.embedder.model}, and {origin.embedding.model} is served now; delete the "
            "folder and call again"
        )
    tasks = [
        ShardTask(name, each.shard_path(FIRST, partition), partition, end)
        for partition, end in enumerate(begun.ends[EVENTS])
        for name, each in generations.items()
    ]
    built = build(tasks, replace(origin, connection=None, archive=archive), done, watch)
    digests = {name: [one.digest for one in built if one.task.projection == name] for name in PROJECTIONS}
    whole = structs.replace(begun, digests=digests, what_if=what_if)
    replace_durably(folder / WHOLE, msgspec.json.encode(whole))
    (folder / BUILDING).unlink()
    return whole


def _begun(
    folder: Path, moment: datetime, tenant: str, partitions: int, origin: Origin, log: TopicLog
) -> Manifest:
    """Where the log is cut, written down before anything is copied: a later call must not cut it elsewhere."""
    source, all_of = (
        range(partitions),
        {topic: [log.end(topic, p) for p in range(partitions)] for topic in TOPICS},
    )
    ends = {topic: [end_at(log, topic, p, all_of[topic][p], moment) for p in source] for topic in TOPICS}
    from_archive = origin.connection is None
    begun = Manifest(
        moment,
        tenant,
        str(origin.home),
        "archive" if from_archive else "kafka",
        ends,
        made_by(origin),
        [p for p in source if from_archive and any(ends[topic][p] == all_of[topic][p] for topic in TOPICS)],
    )
    replace_durably(folder / BUILDING, msgspec.json.encode(begun))
    return begun


def _readable(archive: Path, origin: Origin) -> set[str]:
    with closing(KeyStore(origin.keys, origin.kek)) as keys:
        gone = keys.erased()
    return subjects_of(archive) - gone
