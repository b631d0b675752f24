"""Both projections in a folder of their own, written as workers write them and read as callers read them, without a broker."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from memfold.memory.corpora import Corpora
from memfold.memory.deciding import decide
from memfold.memory.messages import checked_item
from memfold.memory.ports import Embedder
from memfold.memory.reach import checked_reach
from memfold.memory.recalling import Recalled, Recalling
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
from memfold.projections.vector_wide import LanceWideIndex
from memfold.providers.offline_decider import OfflineDecider
from memfold.providers.offline_extractor import OfflineExtractor
from memfold.schemas.records import AddRequested, Envelope, Event, Scope
from memfold.serve.evaluation_file import Remembered

TENANT = "evaluation"
_NAMESPACE = uuid.UUID("6d656d66-6f6c-5d00-8000-6576616c7561")


@dataclass(slots=True)
class _Subjects:
    """Everybody is known."""

    def subject_of(self, tenant: str, kind: str, name: str) -> str:
        return str(uuid.uuid5(_NAMESPACE, f"{tenant}/{kind}/{name}"))

    def known_subject(self, tenant: str, kind: str, name: str) -> str | None:
        return self.subject_of(tenant, kind, name)


class Room:
    """Both projections in one folder, and what decides and recalls over them."""

    def __init__(self, folder: Path, embedder: Embedder, weights: Weights) -> None:
        generations, graphs = Generations(folder, "vector"), Generations(folder, "graph")
        self._models = Models(embedder, OfflineExtractor(), OfflineDecider())
        self._offset = -1
        path = generations.shard_path(generations.served(), 0)
        self._vectors = VectorShard(path, 0, embedder.dimensions)
        self._graph = GraphShard(graphs.shard_path(graphs.served(), 0), 0)
        self.index = LanceMemoryIndex(generations, 1)
        self.recalling = Recalling(
            TENANT,
            self.index,
            Corpora(TENANT, LanceMemoryFeed(self.index.tables, 1)),
            OxigraphRelations({0: self._graph}),
            _Subjects(),
            embedder,
            weights,
            wide=LanceWideIndex(self.index),
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
        self.apply(Event(0, self._offset, now, envelope, body), Position(offset=self._offset))

    def apply(self, event: Event, position: Position) -> None:
        """Into both projections."""
        self._vectors.apply([event], position)
        self._graph.apply([event], position)
        self._vectors.keep_up()

    async def search(self, whose: str, question: str, limit: int) -> list[Recalled]:
        """Best first, without a threshold."""
        found = await self.recalling.search(question, checked_reach(None, {"user_id": whose}), limit, 0.0)
        return found.hits

    def close(self) -> None:
        self._vectors.close()
        self._graph.close()
        self.index.tables.close()


def id_of(hit: Recalled) -> str:
    """The id that the file gave the memory."""
    found: str = msgspec.json.decode(hit.row.metadata)["id"]
    return found


def _message(memory: Remembered) -> Mapping[str, Any]:
    return {"role": "user", "content": memory.text} | ({"name": memory.speaker} if memory.speaker else {})
