"""What who asks the log opens: the key store and the log, no projection. Without LanceDB, which takes over a second to import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from memfold.memory.errors import BrokerUnreachable
from memfold.projections.generations import Generations
from memfold.schemas.errors import WrongKey
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from memfold.serve.keys import keys_of
from memfold.serve.partition_count import known_partitions, note_partitions
from memfold.serve.repartitioned import check_not_moved
from memfold.serve.settings import Settings
from memfold.streams.connection import Connection
from memfold.streams.reader import LogReader
from memfold.streams.topics import ensure_topics


@dataclass(frozen=True, slots=True)
class LogParts:
    """The opened parts of one deployment in one process, without an index over its projections (parts.py)."""

    settings: Settings
    connection: Connection
    partitions: int
    keys: KeyStore
    reader: LogReader
    vectors: Generations
    graphs: Generations

    @classmethod
    def open(
        cls,
        settings: Settings,
        bootstrap_servers: str | None,
        roles: Sequence[str] = (),
        *,
        beyond: bool = False,
    ) -> Self:
        """`roles`: what this process will do (infra/acls.py); a right that it lacks is said now. `beyond`: as `ensure_topics` has it.

        Raises BrokerUnreachable, NotAuthorized, BrokerTooOld, TopicMisconfigured, WrongKey: nothing is served over a log that is
        not safe; and InvalidInput for roles over a log that was moved, or is not whole yet.
        """
        home = settings.folder
        if roles:
            check_not_moved(home)
        if bootstrap_servers is None:
            raise BrokerUnreachable(
                f"no Kafka: nothing runs in {home} and bootstrap_servers is not set. Start one with `memfold up`"
            )
        connection = settings.connection(bootstrap_servers)
        known = known_partitions(home)
        partitions = ensure_topics(connection, settings.topic_plan(), roles, known, beyond=beyond)
        note_partitions(home, partitions)
        keys = keys_of(settings)
        reader = LogReader(connection)
        _refuse_lost_keys(keys, reader, partitions)
        projections = home / "projections"
        vectors, graphs = Generations(projections, "vector"), Generations(projections, "graph")
        return cls(settings, connection, partitions, keys, reader, vectors, graphs)

    def ends(self) -> dict[tuple[str, int], int]:
        """{(topic, partition): offset that the next record gets} of the kept topics. Raises BrokerUnreachable."""
        return self.reader.ends(self.partitions)

    def close_log(self) -> None:
        self.reader.close()
        self.keys.close()


def _refuse_lost_keys(keys: KeyStore, reader: LogReader, partitions: int) -> None:
    """A log with events and a key store without keys: every answer would be silently empty."""
    if keys.holds_keys():
        return
    written = sum(
        high - low for low, high in (reader.bounds(EVENTS, partition) for partition in range(partitions))
    )
    if written:
        raise WrongKey(
            f"the key store is empty, but {EVENTS} holds {written} events that it cannot open. Restore it from a backup"
        )
