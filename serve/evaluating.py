"""How well a search finds what it should: the real shards and the real ranking, on a file of memories and questions."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from memfold.memory.ports import Embedder
from memfold.memory.weights import Weights
from memfold.serve.evaluation_file import Material
from memfold.serve.evaluation_room import Room, id_of

CUTS = (5, 10, 20)


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


async def measure(material: Material, embedder: Embedder, weights: Weights) -> Measured:
    """Add every memory as it is, ask every question, score what comes back."""
    with (
        TemporaryDirectory(prefix="memfold-eval-") as folder,
        closing(Room(Path(folder), embedder, weights)) as room,
    ):
        began = time.perf_counter()
        for scope in dict.fromkeys(memory.scope for memory in material.memories):
            await room.add(scope, [memory for memory in material.memories if memory.scope == scope])
        adding = time.perf_counter() - began
        rows: list[tuple[str, str, Mapping[str, float]]] = []
        latency: list[float] = []
        for asked in material.questions:
            began = time.perf_counter()
            hits = await room.search(asked.scope, asked.question, max(CUTS))
            latency.append((time.perf_counter() - began) * 1000)
            rows.append((asked.category, asked.scope, scored([*map(id_of, hits)], set(asked.evidence))))
        return Measured(rows, sorted(latency), len(material.memories), len(material.memories) / adding)


def scored(ranked: Sequence[str], evidence: set[str]) -> dict[str, float]:
    """R@5, R@10, R@20, MRR and nDCG@10 of ids, best first."""
    found = {f"R@{cut}": len(set(ranked[:cut]) & evidence) / len(evidence) for cut in CUTS}
    found["MRR"] = next((1 / place for place, one in enumerate(ranked, 1) if one in evidence), 0.0)
    gain = sum(1 / math.log2(place + 1) for place, one in enumerate(ranked[:10], 1) if one in evidence)
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(10, len(evidence)) + 1))
    return found | {"nDCG@10": gain / ideal}
