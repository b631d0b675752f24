"""A store as a year of live traffic leaves it: many users, each with many memories, a few at a time and in turn.

Filled through the shards themselves, as a rebuild does, without Kafka and without `decide`. Vectors are those of the offline embedder,
because random ones have no neighbours: an index that finds them says nothing.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from benchmarks.material import TENANT
from memfold.memory.ports import Embedder
from memfold.projections.base import Shard, fenced
from memfold.projections.generations import Generations
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import partition_of
from memfold.schemas.records import Envelope, Event, MemoriesDecided, Operation, RelationChange, Scope

PER_USER, PER_EVENT, BATCH = 1_000, 10, 500
"""Memories of a user, memories that come at once, events in one commit."""
AGENTS = 20
START = datetime(2026, 1, 1, tzinfo=UTC)
_SLOTS = [line.split("|") for line in Path(__file__).with_suffix(".txt").read_text().splitlines()]


def told(number: int) -> str:
    """One of sixteen million sentences, the same for the same number."""
    rng = random.Random(number)
    return " ".join(rng.choice(slot) for slot in _SLOTS)


def asked(number: int) -> str:
    """A question that a memory of any user may answer: two or three of its parts."""
    rng = random.Random(-1 - number)
    parts = [rng.choice(slot) for slot in _SLOTS]
    return " ".join(part for part in parts if rng.random() < 0.5) or parts[2]


@dataclass(frozen=True, slots=True)
class Store:
    """Where a population lives."""

    generations: dict[str, Generations]
    keys: KeyStore
    partitions: int

    @classmethod
    def at(cls, home: Path, partitions: int = 4) -> Store:
        home.mkdir(parents=True, exist_ok=True)
        generations = {name: Generations(home / "projections", name) for name in ("vector", "graph")}
        return cls(generations, KeyStore(home / "keys.db", bytes(32)), partitions)

    def path(self, projection: str, partition: int) -> Path:
        return self.generations[projection].shard_path("g0001", partition)


def agent_of(user: int) -> str:
    """Each agent serves a twentieth of the users."""
    return f"agent-{user % AGENTS}"


def fill(store: Store, shards: dict[int, list[Shard]], memories: int, embedder: Embedder) -> None:
    """Bring `memories` memories, 1,000 a user, into the shards of each partition; each with one relation, all by one event for ten."""
    batches: dict[int, list[Event]] = {partition: [] for partition in shards}
    for event in _events(store, memories, embedder):
        batch = batches[event.partition]
        batch.append(event)
        if len(batch) == BATCH:
            _apply(shards[event.partition], batch)
            batches[event.partition] = []
    for partition, batch in batches.items():
        if batch:
            _apply(shards[partition], batch)


def _apply(shards: list[Shard], batch: list[Event]) -> None:
    for shard in shards:
        counted, position = fenced(batch, shard.position())
        shard.apply(counted, position)


def _events(store: Store, memories: int, embedder: Embedder) -> Iterator[Event]:
    users = max(1, memories // PER_USER)
    subjects = [store.keys.subject_of(TENANT, "user", f"user-{user}") for user in range(users)]
    offsets = [0] * store.partitions
    for number in range(0, memories, PER_EVENT * BATCH):
        texts = [told(number + n) for n in range(PER_EVENT * BATCH)]
        vectors = np.asarray(asyncio.run(embedder.embed(texts)), "<f2")
        for start in range(0, len(texts), PER_EVENT):
            user = (number + start) // PER_EVENT % users
            partition = partition_of(TENANT, subjects[user], store.partitions)
            inside = slice(start, start + PER_EVENT)
            body = _decided(user, number + start, texts[inside], vectors[inside])
            offsets[partition] += 1
            yield _event(partition, offsets[partition], subjects[user], number + start, body)


def _decided(user: int, number: int, texts: list[str], vectors: np.ndarray) -> MemoriesDecided:
    scope = Scope(user_id=f"user-{user}", agent_id=agent_of(user))
    operations, relations = [], []
    for n, (text, vector) in enumerate(zip(texts, vectors, strict=True)):
        memory_id = str(uuid.UUID(int=(number + n + 1) << 40, version=4))
        operations.append(Operation("ADD", memory_id, 1, text, scope, vector=vector.tobytes(), role="user"))
        named = f"user-{user}", "MET", f"Person {(number + n) % 5_000}", "PERSON", "PERSON"
        assertion = str(uuid.UUID(int=((number + n + 1) << 40) + 1, version=4))
        relations.append(RelationChange("ASSERT", assertion, memory_id, *named))
    return MemoriesDecided("decided", operations=operations, relations=relations, embedder="wordllama")


def _event(partition: int, offset: int, subject: str, number: int, body: MemoriesDecided) -> Event:
    command_id = str(uuid.UUID(int=number + 1, version=4))
    moment = START + timedelta(seconds=number)
    envelope = Envelope(
        command_id, "memories_decided", TENANT, subject, command_id, moment, b"", "", b"", offset
    )
    return Event(partition, offset, moment, envelope, body)
