"""A home of more partitions out of one of fewer: a Kafka filled from the old one's, the same keys, projections built anew.

The old home is kept as it was and starts nothing any more. The order is what makes a kill harmless: the old home is fenced before
anything is read, the new one starts nothing before all of it is proven, and every step in between finds what the last try left.
What is refused is refused before the old home is fenced (serve/before_repartitioning.py).
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from memfold.infra.home import prepare_home
from memfold.memory.errors import RestoreRefused
from memfold.projections.generations import Generations
from memfold.replay.build import PROJECTIONS, BuiltShard
from memfold.replay.repartitioning import (
    ADVICE,
    MovedLog,
    check_counts,
    old_roots,
    roots_of,
)
from memfold.replay.restoring import LogRestorer, Restored
from memfold.schemas.partitions import Tree, key_of
from memfold.schemas.records import LogRecord
from memfold.serve.before_repartitioning import check_homes, check_new_kafka, check_old_kafka
from memfold.serve.embedding import models_of
from memfold.serve.kafka_of import held_kafka_of
from memfold.serve.keys import FILE, keys_of
from memfold.serve.new_cluster import NewCluster
from memfold.serve.repartitioned import (
    BEGUN,
    MOVED,
    WHOLE,
    Moved,
    OldTree,
    Repartitioned,
    write,
)
from memfold.serve.replaying import rebuild_served
from memfold.serve.settings import Settings
from memfold.streams.connection import Connection
from memfold.streams.reader import LogReader
from memfold.streams.refilling import Refiller, ready_to_be_filled, take_times_from_broker
from memfold.streams.topics import ensure_topics
from memfold.streams.vacant import cluster_of


def repartition_home(
    settings: Settings,
    partitions: int,
    into: Path,
    filled: Callable[[Restored], None] = lambda one: None,
    built: Callable[[BuiltShard], None] = lambda one: None,
    cluster: NewCluster | None = None,
) -> Repartitioned:
    """Make the home `into`, with the log of the settings' home in `partitions` partitions. Run again it goes on.

    `cluster`: the new home's Kafka; None: what MEMFOLD_INTO_* says, or an embedded one.
    Raises StackRunning, InvalidInput, WrongKey, RestoreRefused, LogTruncated, BrokerUnreachable, NotAuthorized, NotWritten,
    WriteUnknown.
    """
    into = into.expanduser().absolute()
    new = (cluster or NewCluster.configured(None)).settings_of(settings, into, partitions)
    check_homes(settings, new)
    with held_kafka_of(settings) as old, closing(LogReader(old)) as reader:
        was = check_old_kafka(settings, old, reader)
        check_counts(was, partitions)
        moved = _moved(new)
        check_new_kafka(settings, old, new, moved)
        write(settings.folder / MOVED, moved)
        prepare_home(into)
        write(into / BEGUN, moved)
        ends = reader.ends(was)
        # After: whoever writes makes the key first, so every record below the ends has its own in the copy.
        _copy_keys(settings.folder, into)
        roots = roots_of(ends, _reads(reader))
        with held_kafka_of(new) as connection:
            everywhere = _tenants(new)
            _fill(new, connection, MovedLog(reader, ends, was, partitions, everywhere), filled)
            with closing(LogReader(connection)) as there:
                found = old_roots(ends, _reads(there), was, partitions, everywhere)
            if found != roots:
                raise RestoreRefused(f"the old records do not grow out of the new partitions; {ADVICE}")
            _check_still(ends, reader.ends(was))
            take_times_from_broker(connection)
            ensure_topics(connection, new.topic_plan())
            _build(
                settings, new.model_copy(update={"bootstrap_servers": connection.bootstrap_servers}), built
            )
    trees = [OldTree(*tree, size=ends[tree], root=root.hex()) for tree, root in roots.items()]
    done = Repartitioned(str(settings.folder), was, partitions, datetime.now(UTC).isoformat(), trees)
    write(into / WHOLE, done)
    (into / BEGUN).unlink()
    return done


def _moved(new: Settings) -> Moved:
    servers = new.bootstrap_servers
    if servers is None:
        return Moved(str(new.folder), new.partitions)
    return Moved(str(new.folder), new.partitions, cluster_of(new.connection(servers)), servers)


def _check_still(ends: dict[Tree, int], now: dict[Tree, int]) -> None:
    """Who was on the way when the old home was fenced, or knows of no fence, writes to the old topics all the same."""
    grown = [
        f"{topic}/{each} by {now[topic, each] - end}"
        for (topic, each), end in ends.items()
        if now[topic, each] != end
    ]
    if grown:
        raise RestoreRefused(
            f"the old log grew while it was read: {', '.join(grown)} records. Stop whoever writes there, then run this again: it goes on, "
            "and takes them along"
        )


def _copy_keys(home: Path, into: Path) -> None:
    """The key store as it is now, and the key to it unless it is kept elsewhere. One in PostgreSQL is that of both homes."""
    if (home / "key").is_file():
        shutil.copy2(home / "key", into / "key")
    if not (home / FILE).is_file():
        return
    new = into / f"{FILE}.new"
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    with closing(sqlite3.connect(home / FILE)) as source, closing(sqlite3.connect(new)) as copy:
        source.backup(copy)
    new.replace(into / FILE)


def _tenants(new: Settings) -> set[bytes]:
    with closing(keys_of(new)) as keys:
        return {key_of(*each) for each in keys.tenants()}


def _reads(reader: LogReader) -> Callable[[str, int, int], Iterator[list[LogRecord]]]:
    return lambda topic, partition, end: reader.read(topic, partition, 0, end)


def _fill(
    new: Settings, connection: Connection, source: MovedLog, filled: Callable[[Restored], None]
) -> None:
    plan = new.topic_plan()
    with closing(LogReader(connection)) as reader:
        begun = ready_to_be_filled(connection, reader, plan)
        LogRestorer(source, {}, reader, Refiller(connection), begun, ADVICE).restore(plan.partitions, filled)


def _build(settings: Settings, new: Settings, built: Callable[[BuiltShard], None]) -> None:
    """Vectors stay those of the embedder that the old home serves; what was embedded again is copied, so no model is asked."""
    vectors = Generations(settings.folder / "projections", "vector")
    if settings.embeddings.exists():
        shutil.copytree(settings.embeddings, new.embeddings, dirs_exist_ok=True)
    rebuild_served(new, PROJECTIONS, "kafka", built, models_of(settings.models, vectors, vectors.served()))
