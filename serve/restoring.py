"""A home whose Kafka and projections are gone, whole again: from its archive, its key store and its seals.

The order is what makes a kill harmless: until the topics are turned back no process starts over them, and by then the
projections are the archive's and nothing in the home is ahead of the log.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memfold.audit.seal_files import SealFiles
from memfold.audit.seal_key import seal_verifier
from memfold.audit.verifying import Evidence, verify
from memfold.infra.errors import StackRunning
from memfold.infra.home import write_private
from memfold.infra.stack_file import running_stack
from memfold.memory.errors import RestoreRefused
from memfold.projections.archive_source import ArchiveSource
from memfold.projections.generations import Generations
from memfold.replay.archive_copy import take_in
from memfold.replay.build import PROJECTIONS, BuiltShard
from memfold.replay.compared import Compared
from memfold.replay.restoring import LogRestorer, Restored, archived_keys, lost_commands
from memfold.schemas.errors import WrongKey
from memfold.schemas.partitions import COMMANDS, partition_of_key
from memfold.serve.kafka_of import kafka_of
from memfold.serve.keys import keys_of, place_of
from memfold.serve.partition_count import FILE, known_partitions
from memfold.serve.replaying import rebuild_served
from memfold.serve.seals import archive_of, seals_of
from memfold.serve.settings import Settings
from memfold.serve.verifying import verify_served
from memfold.streams.connection import Connection
from memfold.streams.reader import LogReader
from memfold.streams.refilling import Refiller, ready_to_be_filled, take_times_from_broker
from memfold.streams.sealing import Published
from memfold.streams.topics import ensure_topics
from memfold.streams.writer import LogWriter

RECORD = "restored.json"
"""In the home: what the last restore brought back, and what it could not."""


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told of each partition and each shard as it is done."""

    restored: Callable[[Restored], None] = lambda restored: None
    built: Callable[[BuiltShard], None] = lambda built: None


@dataclass(frozen=True, slots=True)
class Whole:
    """What a restore brought back, and how the projections compare with it."""

    partitions: list[Restored]
    compared: list[Compared]
    unreadable: int

    @property
    def equal(self) -> bool:
        return all(one.equal for one in self.compared)


def restore_home(settings: Settings, archive: Path, told: Told) -> Whole:
    """Fill the topics, build the projections, and compare both with each other.

    Raises StackRunning, RestoreRefused, InvalidInput, WrongKey, ShardDamaged, BrokerUnreachable; run again it goes on.
    """
    _check_keys(settings)
    known = known_partitions(settings.folder)
    if known is not None:
        # A log that was repartitioned, or made with other settings, comes back as it was.
        settings = settings.model_copy(update={"partitions": known})
    if running_stack(settings.folder) is not None:
        raise StackRunning(
            f"a stack runs in {settings.folder}: a restore needs the log for itself; `memfold down` stops it"
        )
    take_in(archive, archive_of(settings))
    _check_partitions(settings)
    _check_seals(settings)
    with kafka_of(settings) as connection:
        partitions = _fill(settings, connection, told)
        rebuilt = rebuild_served(
            settings.model_copy(update={"bootstrap_servers": None}), PROJECTIONS, "archive", told.built
        )
        _forget_what_was_ahead(settings)
        take_times_from_broker(connection)
        ensure_topics(connection, settings.topic_plan())
        asyncio.run(_publish_seals(settings, connection))
        live = settings.model_copy(update={"bootstrap_servers": connection.bootstrap_servers})
        compared = verify_served(live, "kafka").compared
    unreadable = sum(
        built.position.quarantined
        for one in rebuilt
        for built in one.shards
        if one.projection == PROJECTIONS[0]
    )
    whole = Whole(partitions, compared, unreadable)
    record = json.dumps(record_of(whole) | {"archive": str(archive), "at": datetime.now(UTC).isoformat()})
    write_private(settings.folder / RECORD, record.encode())
    return whole


def record_of(whole: Whole) -> dict[str, Any]:
    """For people and programs: every position stands where it stood, and what the archive did not have."""
    return {
        "offsets": "as they were",
        "times": "as they were",
        "partitions": [
            {
                "topic": one.topic,
                "partition": one.partition,
                "records": one.records,
                "lost_commands": one.lost,
            }
            for one in whole.partitions
        ],
        "digests_equal": whole.equal,
        "unreadable_events": whole.unreadable,
        "not_archived": [
            "what was written after the archive's end",
            "memfold.quarantine: what it held stands on the topics where it came from",
            "the times of memfold.seals: the seals were published again",
        ],
    }


def _check_keys(settings: Settings) -> None:
    place = place_of(settings)
    if isinstance(place, Path) and not place.exists():
        raise WrongKey(
            f"{place} is not there: without the keys nothing in the archive can be opened. Put back keys.db and its key first"
        )
    with closing(keys_of(settings)) as keys:
        if not keys.holds_keys():
            raise WrongKey(
                f"{place} holds no keys: nothing in the archive can be opened. Restore it from a backup"
            )


def _check_partitions(settings: Settings) -> None:
    """A subject must stay in its partition: the count must be the one that the archive was written with."""
    found = archived_keys(archive_of(settings))
    placed = [(partition, key) for partition, keys in found.items() for key in keys]

    def fits(count: int) -> bool:
        # Not all: a record that somebody forged may stand anywhere.
        return 2 * sum(partition_of_key(key, count) == partition for partition, key in placed) > len(placed)

    if placed and not fits(settings.partitions):
        least = max(found) + 1
        fitting = next((count for count in range(least, 1_025) if fits(count)), None)
        written = f"={fitting}" if fitting else " to what it was"
        raise RestoreRefused(
            f"the archive was not written with {settings.partitions} partitions; "
            + (
                f"{settings.folder / FILE} says so: is this archive of this home's log?"
                if known_partitions(settings.folder)
                else f"set MEMFOLD_PARTITIONS{written}"
            )
        )


def _check_seals(settings: Settings) -> None:
    """An archive that is less than was sealed, or other, must not become the log."""
    seals = seals_of(settings)
    if not SealFiles(seals).heads_path.exists():
        return
    evidence = Evidence(archive_of(settings), seals, settings.partitions, seal_verifier(seals), records=False)
    report = verify(evidence)
    if not report.ok:
        raise RestoreRefused(
            f"the archive is not what was sealed: {report.findings[0].said} ({len(report.findings)} findings, "
            "`memfold audit verify --no-log` lists them). Take a copy that is whole"
        )


def _fill(settings: Settings, connection: Connection, told: Told) -> list[Restored]:
    plan = settings.topic_plan()
    with (
        closing(LogReader(connection)) as reader,
        closing(keys_of(settings)) as keys,
    ):
        begun = ready_to_be_filled(connection, reader, plan)
        archive = archive_of(settings)
        lost = {
            (COMMANDS, partition): lost_commands(archive, partition, keys)
            for partition in range(plan.partitions)
        }
        source = ArchiveSource(archive, verify=True)
        restorer = LogRestorer(source, lost, reader, Refiller(connection), begun)
        return restorer.restore(plan.partitions, told.restored)


def _forget_what_was_ahead(settings: Settings) -> None:
    """Older generations and decide's ledgers may know of events that were not archived: they would pass over new ones."""
    for name in PROJECTIONS:
        generations = Generations(settings.folder / "projections", name)
        for generation in generations.existing():
            if generation != generations.served():
                generations.remove(generation)
    shutil.rmtree(settings.folder / "ledger", ignore_errors=True)


async def _publish_seals(settings: Settings, connection: Connection) -> None:
    """All of them again: a witness that reads a seal twice passes over it."""
    files = SealFiles(seals_of(settings))
    if not files.heads_path.exists():
        return
    (files.folder / "published").unlink(missing_ok=True)
    writer = LogWriter(connection)
    try:
        await Published(files, writer).catch_up()
    finally:
        await asyncio.to_thread(writer.close)
