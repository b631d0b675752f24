"""How well a search finds what it should, on a file of memories and questions: the real shards and the real ranking, no broker.

A file is JSON: {"memories": [{"id", "text", "speaker", "said_at", "run_id", "scope"}], "questions": [{"question", "evidence": [ids],
"category", "scope"}]}. Of a memory id and text have to be there, of a question its words and its evidence. `scope` keeps several
people apart: a question is asked of the memories with its scope.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from msgspec import Struct

from memfold.memory.corpora import Corpora
from memfold.memory.deciding import decide
from memfold.memory.errors import InvalidInput
from memfold.memory.messages import checked_item
from memfold.memory.ports import Embedder
from memfold.memory.reach import checked_reach
from memfold.memory.recalling import Recalling
from memfold.memory.state import SubjectState
from memfold.memory.understanding import Models
from memfold.memory.weights import Weights
from memfold.memory.writing import PACK_ITEMS
from memfold.projections.base import Position
from memfold.projections.generations import Generations
from memfold.projections.graph import GraphShard
from memfold.projections.graph_index import OxigraphRelations
from memfold.projections.vector import VectorShard
from memfold.projections.vector_feed import LanceMemoryFeed
from memfold.projections.vector_index import LanceMemoryIndex
from memfold.providers.offline_decider import OfflineDecider
from memfold.providers.offline_extractor import OfflineExtractor
from memfold.schemas.records import AddRequested, Envelope, Event, Scope

TENANT = "evaluation"
CUTS = (5, 10, 20)
_NAMESPACE = uuid.UUID("6d656d66-6f6c-5d00-8000-6576616c7561")


class Remembered(Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    text: str
    speaker: str | None = None
    said_at: str | None = None
    run_id: str | None = None
    scope: str = "someone"


class Asked(Struct, frozen=True, forbid_unknown_fields=True):
    question: str
    evidence: list[str]
    category: str = "all"
    scope: str = "someone"


class Material(Struct, frozen=True, forbid_unknown_fields=True):
    memories: list[Remembered]
    questions: list[Asked]


@dataclass(frozen=True, slots=True)
class Measured:
    """Of each question its category, its scope and its scores; milliseconds of each search, sorted."""

    rows: list[tuple[str, str, Mapping[str, float]]]
    latency: list[float]
    memories: int
    added_per_second: float

    def mean(self, category: str | None = None, scope: str | None = None) -> dict[str, float]:
        """Means over the questions of a category and a scope; of all without one."""
        chosen = [
            scores for kind, whose, scores in self.rows if category in (None, kind) and scope in (None, whose)
        ]
        return (
            {name: sum(scores[name] for scores in chosen) / len(chosen) for name in chosen[0]}
            if chosen
            else {}
        )

    def categories(self) -> list[str]:
        return sorted({category for category, _, _ in self.rows})

    def scopes(self) -> list[str]:
        return sorted({scope for _, scope, _ in self.rows})

    def percentile(self, share: float) -> float:
        return self.latency[min(len(self.latency) - 1, int(len(self.latency) * share))]


def material_from(path: Path) -> Material:
    """Raises InvalidInput naming what does not fit."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Material)
    except OSError as missing:
        raise InvalidInput(f"{path} cannot be read: {missing.strerror}") from None
    except msgspec.DecodeError as wrong:
        raise InvalidInput(
            f'{path}: {wrong}; write {{"memories": [{{"id", "text"}}], "questions": [{{"question", "evidence"}}]}}'
        ) from None
    known = {memory.id for memory in found.memories}
    for asked in found.questions:
        if not asked.evidence or not known.issuperset(asked.evidence):
            raise InvalidInput(
                f"{path}: the question {asked.question!r} has the evidence {asked.evidence}; it must name ids of the memories"
            )
    if not found.questions:
        raise InvalidInput(f"{path} has no questions; there is nothing to measure")
    return found


async def measure(material: Material, embedder: Embedder, weights: Weights) -> Measured:
    """Add every memory as it is, ask every question, score what comes back."""
    with (
        TemporaryDirectory(prefix="memfold-eval-") as folder,
        closing(_Room(Path(folder), embedder, weights)) as room,
    ):
        began = time.perf_counter()
        for scope in dict.fromkeys(memory.scope for memory in material.memories):
            await room.add(scope, [memory for memory in material.memories if memory.scope == scope])
        adding = time.perf_counter() - began
        rows: list[tuple[str, str, Mapping[str, float]]] = []
        latency: list[float] = []
        for asked in material.questions:
            began = time.perf_counter()
            ranked = await room.search(asked.scope, asked.question, max(CUTS))
            latency.append((time.perf_counter() - began) * 1000)
            rows.append((asked.category, asked.scope, scored(ranked, set(asked.evidence))))
        return Measured(rows, sorted(latency), len(material.memories), len(material.memories) / adding)


def scored(ranked: Sequence[str], evidence: set[str]) -> dict[str, float]:
    """R@5, R@10, R@20, MRR and nDCG@10 of ids, best first."""
    found = {f"R@{cut}": len(set(ranked[:cut]) & evidence) / len(evidence) for cut in CUTS}
    found["MRR"] = next((1 / place for place, one in enumerate(ranked, 1) if one in evidence), 0.0)
    gain = sum(1 / math.log2(place + 1) for place, one in enumerate(ranked[:10], 1) if one in evidence)
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(10, len(evidence)) + 1))
    return found | {"nDCG@10": gain / ideal}


@dataclass(slots=True)
class _Subjects:
    """Everybody is known."""

    def subject_of(self, tenant: str, kind: str, name: str) -> str:
        return str(uuid.uuid5(_NAMESPACE, f"{tenant}/{kind}/{name}"))

    def known_subject(self, tenant: str, kind: str, name: str) -> str | None:
        return self.subject_of(tenant, kind, name)


class _Room:
    """Both projections in one folder, and what decides and recalls over them."""

    def __init__(self, folder: Path, embedder: Embedder, weights: Weights) -> None:
        generations, graphs = Generations(folder, "vector"), Generations(folder, "graph")
        self._models = Models(embedder, OfflineExtractor(), OfflineDecider())
        self._offset = -1
        path = generations.shard_path(generations.served(), 0)
        self._vectors = VectorShard(path, 0, embedder.dimensions)
        self._graph = GraphShard(graphs.shard_path(graphs.served(), 0), 0)
        self._index = LanceMemoryIndex(generations, 1)
        self._recalling = Recalling(
            TENANT,
            self._index,
            Corpora(TENANT, LanceMemoryFeed(self._index.tables, 1)),
            OxigraphRelations({0: self._graph}),
            _Subjects(),
            embedder,
            weights,
        )

    async def add(self, whose: str, memories: Sequence[Remembered]) -> None:
        """As `add_many(infer=False)` does: packs of items, one event each."""
        state, subject = SubjectState(), _Subjects().subject_of(TENANT, "user", whose)
        by_run: dict[str | None, list[Remembered]] = {}
        for memory in memories:
            by_run.setdefault(memory.run_id, []).append(memory)
        for run_id, told in by_run.items():
            for start in range(0, len(told), PACK_ITEMS):
                pack = told[start : start + PACK_ITEMS]
                items = [checked_item(_message(one), {"id": one.id}, one.said_at) for one in pack]
                await self._decide(AddRequested(Scope(whose, None, run_id), items, False), subject, state)

    async def _decide(self, command: AddRequested, subject: str, state: SubjectState) -> None:
        self._offset += 1
        now, command_id = datetime.now(UTC), str(uuid.uuid5(_NAMESPACE, str(self._offset)))
        body = await decide(command, command_id, now, state, self._models)
        envelope = Envelope(
            command_id, "memories_decided", TENANT, subject, command_id, now, b"", "", b"", self._offset
        )
        event = Event(0, self._offset, now, envelope, body)
        position = Position(offset=self._offset)
        self._vectors.apply([event], position)
        self._graph.apply([event], position)

    async def search(self, whose: str, question: str, limit: int) -> list[str]:
        found = await self._recalling.search(question, checked_reach(None, {"user_id": whose}), limit, 0.0)
        return [msgspec.json.decode(hit.row.metadata)["id"] for hit in found.hits]

    def close(self) -> None:
        self._vectors.close()
        self._graph.close()
        self._index.tables.close()


def _message(memory: Remembered) -> Mapping[str, Any]:
    return {"role": "user", "content": memory.text} | ({"name": memory.speaker} if memory.speaker else {})
