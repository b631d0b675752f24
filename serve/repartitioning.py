"""A home of more partitions out of one of fewer: its own Kafka, filled from the old one's, the same keys, projections built anew.

The old home is kept as it was and starts nothing any more. The order is what makes a kill harmless: the old home is fenced before
anything is read, the new one starts nothing before all of it is proven, and every step in between finds what the last try left.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from memfold.infra.broker import Broker
from memfold.infra.errors import StackRunning
from memfold.infra.home import prepare_home
from memfold.memory.errors import InvalidInput, RestoreRefused
from memfold.projections.generations import Generations
from memfold.replay.build import PROJECTIONS, BuiltShard
from memfold.replay.repartitioning import (
    ADVICE,
    MovedLog,
    check_counts,
    old_roots,
    roots_of,
    trees_of,
)
from memfold.replay.restoring import LogRestorer, Restored
from memfold.schemas.errors import WrongKey
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import KEPT, key_of
from memfold.schemas.records import LogRecord
from memfold.serve.embedded import running_stack
from memfold.serve.embedding import models_of
from memfold.serve.partition_count import known_partitions
from memfold.serve.repartitioned import (
    BEGUN,
    MOVED,
    WHOLE,
    Moved,
    OldTree,
    Repartitioned,
    made_from,
    moved_from,
    write,
)
from memfold.serve.replaying import rebuild_served
from memfold.serve.settings import Settings
from memfold.streams.connection import Connection
from memfold.streams.reader import LogReader
from memfold.streams.refilling import (
    Refiller,
    open_for_refilling,
    take_times_from_broker,
    unfinished,
)
from memfold.streams.topics import ensure_topics, partition_counts


def repartition_home(
    settings: Settings,
    partitions: int,
    into: Path,
    filled: Callable[[Restored], None] = lambda one: None,
    built: Callable[[BuiltShard], None] = lambda one: None,
) -> Repartitioned:
    """Make the home `into`, with the log of the settings' home in `partitions` partitions. Run again it goes on.

    Raises StackRunning, InvalidInput, WrongKey, RestoreRefused, LogTruncated, BrokerUnreachable, NotWritten, WriteUnknown.
    """
    into = into.expanduser().absolute()
    _check(settings, partitions, into)
    with Broker(settings.folder) as old, closing(LogReader(settings.connection(old.bootstrap))) as reader:
        was = _was(settings, settings.connection(old.bootstrap), reader)
        check_counts(was, partitions)
        write(settings.folder / MOVED, Moved(str(into), partitions))
        prepare_home(into)
        write(into / BEGUN, Moved(str(into), partitions))
        _copy_keys(settings.folder, into)
        ends = {tree: end for tree, (_, end) in reader.all_bounds(trees_of(was)).items()}
        roots = roots_of(ends, _reads(reader))
        new = settings.model_copy(update={"home": into, "partitions": partitions})
        with Broker(into) as broker:
            connection = new.connection(broker.bootstrap)
            everywhere = _tenants(new)
            _fill(new, connection, MovedLog(reader, ends, was, partitions, everywhere), filled)
            with closing(LogReader(connection)) as there:
                found = old_roots(ends, _reads(there), was, partitions, everywhere)
            if found != roots:
                raise RestoreRefused(f"the old records do not grow out of the new partitions; {ADVICE}")
            take_times_from_broker(connection)
            ensure_topics(connection, new.topic_plan())
            _build(settings, new.model_copy(update={"bootstrap_servers": broker.bootstrap}), built)
    trees = [OldTree(*tree, size=ends[tree], root=root.hex()) for tree, root in roots.items()]
    done = Repartitioned(str(settings.folder), was, partitions, datetime.now(UTC).isoformat(), trees)
    write(into / WHOLE, done)
    (into / BEGUN).unlink()
    return done


def _was(settings: Settings, connection: Connection, reader: LogReader) -> int:
    """The partitions that the log was made with. Where somebody added some since, they hold nothing of memfold's, or this is refused."""
    was = ensure_topics(
        connection, settings.topic_plan(), known=known_partitions(settings.folder), beyond=True
    )
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
    return was


def _check(settings: Settings, partitions: int, into: Path) -> None:
    home = settings.folder
    if settings.bootstrap_servers is not None:
        raise InvalidInput(
            f"a repartitioning is for a home's own Kafka, and bootstrap_servers is {settings.bootstrap_servers}: the topics there have "
            "the names that the new ones need. Unset it, or see docs/adr/0036"
        )
    if running_stack(settings) is not None:
        raise StackRunning(
            f"a stack runs in {home}: a repartitioning needs the log for itself; `memfold down` stops it"
        )
    if not (home / "kafka" / "data").is_dir():
        raise InvalidInput(f"{home} has no Kafka of its own; name the home of the log: --home")
    if not (home / "keys.db").is_file():
        raise WrongKey(f"{home / 'keys.db'} is not there: put back the key store that belongs to this log")
    gone = moved_from(home)
    if gone is not None and gone != Moved(str(into), partitions):
        raise InvalidInput(
            f"{home} was begun to be repartitioned into {gone.into} with {gone.partitions} partitions: run that again, it goes on; or give "
            f"it up: remove {gone.into} and {home / MOVED}"
        )
    if made_from(into) is not None:
        raise InvalidInput(f"{into} is whole: `memfold up --home {into}`")
    if gone is None and into.exists() and any(into.iterdir()):
        raise InvalidInput(f"{into} holds something else; name a folder that is empty or not there yet")


def _copy_keys(home: Path, into: Path) -> None:
    """The key store as it is now, and the key to it unless it is kept elsewhere."""
    new = into / "keys.db.new"
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    with closing(sqlite3.connect(home / "keys.db")) as source, closing(sqlite3.connect(new)) as copy:
        source.backup(copy)
    new.replace(into / "keys.db")
    if (home / "key").is_file():
        shutil.copy2(home / "key", into / "key")


def _tenants(new: Settings) -> set[bytes]:
    with closing(KeyStore(new.folder / "keys.db", new.key_encrypting_key())) as keys:
        return {key_of(*each) for each in keys.tenants()}


def _reads(reader: LogReader) -> Callable[[str, int, int], Iterator[list[LogRecord]]]:
    return lambda topic, partition, end: reader.read(topic, partition, 0, end)


def _fill(
    new: Settings, connection: Connection, source: MovedLog, filled: Callable[[Restored], None]
) -> None:
    plan = new.topic_plan()
    open_for_refilling(connection, plan)
    with closing(LogReader(connection)) as reader:
        begun = unfinished(connection)
        LogRestorer(source, {}, reader, Refiller(connection), begun, ADVICE).restore(plan.partitions, filled)


def _build(settings: Settings, new: Settings, built: Callable[[BuiltShard], None]) -> None:
    """Vectors stay those of the embedder that the old home serves; what was embedded again is copied, so no model is asked."""
    vectors = Generations(settings.folder / "projections", "vector")
    if settings.embeddings.exists():
        shutil.copytree(settings.embeddings, new.embeddings, dirs_exist_ok=True)
    rebuild_served(new, PROJECTIONS, "kafka", built, models_of(settings.models, vectors, vectors.served()))
