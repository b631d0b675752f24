"""What is looked at before a home is repartitioned: nothing is written while any of it is not as it has to be.

A home's own Kafka is down, and is started for the repartitioning alone. A Kafka of one's own goes on serving whoever comes, so there
nobody may follow the log, and the log has to be this home's.
"""

from __future__ import annotations

import socket

from memfold.infra.errors import StackRunning
from memfold.memory.errors import InvalidInput, RestoreRefused
from memfold.projections.archive_source import ArchiveSource
from memfold.schemas.errors import WrongKey
from memfold.schemas.partitions import KEPT
from memfold.serve.embedded import running_stack
from memfold.serve.keys import is_there, place_of
from memfold.serve.partition_count import known_partitions
from memfold.serve.repartitioned import MOVED, Moved, made_from, moved_from
from memfold.serve.seals import archive_of
from memfold.serve.settings import Settings
from memfold.serve.view_address import addresses
from memfold.streams.connection import Connection
from memfold.streams.members import followers
from memfold.streams.reader import LogReader
from memfold.streams.topics import TopicPlan, ensure_topics, partition_counts
from memfold.streams.vacant import check_vacant, cluster_of

SESSION = 12.0
"""Seconds: a worker that was stopped or killed is a member of its group until its session of 6 s ends."""


def check_homes(settings: Settings, new: Settings) -> None:
    """What is known without Kafka. Raises InvalidInput, StackRunning, WrongKey."""
    home, into = settings.folder, new.folder
    if settings.bootstrap_servers is not None and new.bootstrap_servers is None:
        raise InvalidInput(
            f"the log of {home} is at {settings.bootstrap_servers}, a Kafka of your own, and topics have one name: name another cluster "
            "for the new log, --into-bootstrap-servers or MEMFOLD_INTO_BOOTSTRAP_SERVERS"
        )
    _check_nobody_runs(settings)
    if settings.bootstrap_servers is None and not (home / "kafka" / "data").is_dir():
        raise InvalidInput(
            f"{home} has no Kafka of its own; name the home of the log, --home, or its Kafka: MEMFOLD_BOOTSTRAP_SERVERS"
        )
    if not is_there(settings):
        raise WrongKey(f"{place_of(settings)} is not there: put back the key store that belongs to this log")
    gone = moved_from(home)
    if gone is not None and (gone.into, gone.partitions) != (str(into), new.partitions):
        raise _begun_otherwise(settings, gone)
    if made_from(into) is not None:
        raise InvalidInput(f"{into} is whole: {gone.up if gone else f'`memfold up --home {into}`'}")
    if gone is None and into.exists() and any(into.iterdir()):
        raise InvalidInput(f"{into} holds something else; name a folder that is empty or not there yet")


def _check_nobody_runs(settings: Settings) -> None:
    home = settings.folder
    if running_stack(settings) is not None:
        raise StackRunning(
            f"a stack runs in {home}: a repartitioning needs the log for itself; `memfold down` stops it"
        )
    # Those of other machines cannot be told by their pid; their groups tell.
    here = [one for one in addresses(home) if one.machine == socket.gethostname()]
    if here:
        workers = ", ".join(f"{'+'.join(one.roles)} (process {one.pid})" for one in here)
        raise StackRunning(
            f"workers of {home} run: {workers}. A repartitioning needs the log for itself; stop them"
        )


def check_old_kafka(settings: Settings, connection: Connection, reader: LogReader) -> int:
    """The partitions that the log was made with. Where somebody added some since, they hold nothing of memfold's.

    Raises InvalidInput, StackRunning where somebody follows the log, and what a start raises over a log that is not safe.
    """
    own = settings.bootstrap_servers is not None
    if own and (missing := [topic for topic in KEPT if topic not in partition_counts(connection)]):
        raise InvalidInput(
            f"{', '.join(missing)}: not there at {settings.bootstrap_servers}, so the log of {settings.folder} is not; correct "
            "MEMFOLD_BOOTSTRAP_SERVERS"
        )
    was = ensure_topics(
        connection,
        # It is only read: how many brokers keep a record is asked of the new one.
        TopicPlan(settings.partitions),
        ("repartition",) if own else (),
        known=known_partitions(settings.folder),
        beyond=True,
    )
    _check_nothing_beyond(connection, reader, was)
    _check_the_home_s(settings, reader, was)
    if own and (found := followers(connection, SESSION)):
        raise StackRunning(
            f"workers follow the log at {settings.bootstrap_servers}: {', '.join(found)}. A repartitioning needs the log for itself; stop "
            "them on every machine, then run this again"
        )
    return was


def _check_nothing_beyond(connection: Connection, reader: LogReader, was: int) -> None:
    counts = partition_counts(connection)
    added = [(topic, partition) for topic in KEPT for partition in range(was, counts[topic])]
    strange = [
        f"{topic}/{partition}"
        for (topic, partition), (low, end) in reader.all_bounds(added).items()
        if low < end
    ]
    if strange:
        raise InvalidInput(
            f"{', '.join(strange)} hold records, and this log was made with {was} partitions: somebody wrote them past memfold, and they "
            "would be left behind. Nothing was changed. Keep what is wanted of them, delete them with kafka-delete-records, and run this "
            "again"
        )


def _check_the_home_s(settings: Settings, reader: LogReader, was: int) -> None:
    """The last archived record of each partition stands in the log: an address may name a cluster that has another log, or an empty one."""
    archive = ArchiveSource(archive_of(settings))
    for (topic, partition), end in reader.ends(was).items():
        last = archive.position(topic, partition)
        if last < 0:
            continue
        there = next(reader.read(topic, partition, last, last + 1)) if last < end else []
        if there != next(archive.batches(topic, partition, last, last)):
            raise InvalidInput(
                f"{topic}/{partition}: offset {last} is archived in {settings.folder}, and the log "
                + ("has another record there" if there else f"ends at {end}")
                + ": it is not this home's log, or lost its end. Correct MEMFOLD_BOOTSTRAP_SERVERS, or `memfold restore` first"
            )


def check_new_kafka(settings: Settings, old: Connection, new: Settings, moved: Moved) -> None:
    """A Kafka of one's own that nothing of memfold's stands in, or that an interrupted repartitioning into it began to fill.

    Raises InvalidInput, RestoreRefused, TopicMisconfigured, NotAuthorized, BrokerUnreachable.
    """
    gone = moved_from(settings.folder)
    if gone is not None:
        if gone.cluster != moved.cluster:
            raise _begun_otherwise(settings, gone)
        return
    if new.bootstrap_servers is None:
        return
    if cluster_of(old) == moved.cluster:
        raise RestoreRefused(
            f"{new.bootstrap_servers} is the cluster of the old log, and topics have one name: name another cluster"
        )
    check_vacant(new.connection(new.bootstrap_servers), new.topic_plan())


def _begun_otherwise(settings: Settings, gone: Moved) -> InvalidInput:
    kafka = f" on the Kafka at {gone.servers}" if gone.servers else ""
    topics = f", the topics memfold.* at {gone.servers}" if gone.servers else ""
    return InvalidInput(
        f"{settings.folder} was begun to be repartitioned into {gone.into}{kafka} with {gone.partitions} partitions: run that again, it "
        f"goes on; or give it up: remove {gone.into}{topics} and {settings.folder / MOVED}"
    )
