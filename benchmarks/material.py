"""What the benchmarks write: distinct sentences, and whole logs of events with vectors and relations in them."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from memfold.schemas.codec import encode
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import key_of, partition_of
from memfold.schemas.records import Envelope, MemoriesDecided, Operation, RelationChange, Scope

TENANT = "default"
_WHO = (
    "Sarah",
    "my sister Maria",
    "a colleague",
    "the dentist",
    "Tom from Berlin",
    "our neighbour",
    "Ines",
    "the new manager",
)
_DID = ("met", "wrote to", "had lunch with", "argued with", "called", "visited", "helped", "waited for")
_WHAT = (
    "about the budget",
    "near the old harbour",
    "because of the trip",
    "over green tea",
    "on a rainy morning",
    "after the concert",
)


def sentence(number: int) -> str:
    """A distinct sentence of about twelve words."""
    rng = random.Random(number)
    return f"On day {number} I {rng.choice(_DID)} {rng.choice(_WHO)} {rng.choice(_WHAT)} and took note {rng.randrange(10**6)}"


class LogMaker:
    """Encrypted event records of many users, as decide would write them: 100 memories an event, one relation a memory."""

    def __init__(self, keys: KeyStore, partitions: int, dimensions: int, per_event: int = 100) -> None:
        self._keys, self._partitions, self._dimensions, self._per_event = (
            keys,
            partitions,
            dimensions,
            per_event,
        )
        self._commands = [0] * partitions
        self._rng = np.random.default_rng(7)

    def records(self, memories: int, per_user: int) -> Iterator[tuple[int, bytes, bytes]]:
        """(partition, key, value) for `memories` memories, `per_user` each."""
        for start in range(0, memories, self._per_event):
            user = f"user-{start // per_user}"
            subject = self._keys.subject_of(TENANT, "user", user)
            partition = partition_of(TENANT, subject, self._partitions)
            yield partition, key_of(TENANT, subject), self._event(subject, user, start, partition)

    def _event(self, subject: str, user: str, start: int, partition: int) -> bytes:
        command_id = str(uuid.UUID(int=start + 1, version=4))
        vectors = self._rng.normal(size=(self._per_event, self._dimensions))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        packed = vectors.astype("<f2")
        ids = [str(uuid.UUID(int=(start + n + 1) << 40, version=4)) for n in range(self._per_event)]
        operations = [
            Operation(
                "ADD",
                ids[n],
                1,
                sentence(start + n),
                Scope(user_id=user),
                n,
                None,
                "user",
                "{}",
                None,
                packed[n].tobytes(),
            )
            for n in range(self._per_event)
        ]
        relations = [
            RelationChange(
                "ASSERT",
                str(uuid.uuid5(uuid.UUID(ids[n]), "a")),
                ids[n],
                user,
                "MET",
                f"Person {(start + n) % 500}",
                "PERSON",
                "PERSON",
            )
            for n in range(self._per_event)
        ]
        key_id, key = self._keys.sealing_key(subject)
        envelope = Envelope(
            str(uuid.uuid5(uuid.UUID(command_id), "event")), "memories_decided", TENANT, subject, command_id,
            datetime.now(UTC), b"", key_id, b"", self._commands[partition], ids,
        )  # fmt: skip
        self._commands[partition] += 1
        return encode(
            envelope,
            MemoriesDecided("decided", operations=operations, relations=relations),
            key,
        )
