"""A log of random histories in an archive, encrypted and without Kafka: what a replay reads, at the price of a file."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from random import Random

from msgspec.structs import replace

from memfold.projections.archive import ArchiveShard
from memfold.projections.generations import Generations
from memfold.providers.presets import ModelSettings
from memfold.replay.build import Origin
from memfold.replay.reembedding import Embedding
from memfold.schemas.codec import encode
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS, key_of
from memfold.schemas.records import Event, LogRecord
from tests.strategies import history

KEK, DIMENSIONS = bytes(32), 256


class ArchivedLog:
    """In the folder `home`: `partitions` of memfold.events, and the projections that are built from it."""

    def __init__(self, home: Path, partitions: int, events: int) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home, self.partitions = home, partitions
        self.histories = [
            history(Random(partition), events, dimensions=DIMENSIONS, partition=partition)
            for partition in range(partitions)
        ]
        self.generations = {name: Generations(home / "projections", name) for name in ("vector", "graph")}
        self._ends = [0] * partitions

    def origin(self) -> Origin:
        return Origin(
            self.home, self.home / "keys.db", KEK, Embedding(ModelSettings(), self.home / "embeddings")
        )

    def archive(self, events: int) -> None:
        """Let the archive have the first `events` of each partition."""
        for partition, all_of_them in enumerate(self.histories):
            records = [
                self._record(event, offset)
                for offset, event in enumerate(all_of_them[:events])
                if offset >= self._ends[partition]
            ]
            with closing(ArchiveShard(self.home / "archive", EVENTS, partition)) as shard:
                shard.append(records)
            self._ends[partition] = max(self._ends[partition], events)

    def _record(self, event: Event, offset: int) -> LogRecord:
        with closing(KeyStore(self.home / "keys.db", KEK)) as keys:
            tenant = event.envelope.tenant
            subject = keys.subject_of(tenant, "user", event.envelope.subject)
            key_id, key = keys.sealing_key(subject)
            envelope = replace(event.envelope, subject=subject, key_id=key_id)
            stamp = int(event.recorded_at.timestamp() * 1000)
            value = encode(envelope, event.body, key)
            return LogRecord(EVENTS, event.partition, offset, stamp, key_of(tenant, subject), value)
