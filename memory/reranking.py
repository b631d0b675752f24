"""A second look at the best memories by a model that reads them with the question. Off unless it is configured.

It can only order what the ranking found, so what it is told by a memory can move memories and do nothing else. When it fails
the ranking's own order stands, and the answer says so.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from memfold.memory.errors import ModelUnavailable

logger = logging.getLogger(__name__)


class Reranker(Protocol):
    """Says how far each memory answers a question. Raises ModelUnavailable; never returns half an answer."""

    @property
    def model(self) -> str: ...
    async def rerank(self, question: str, memories: Sequence[str]) -> Sequence[float]:
        """A relevance from 0 to 1 for each memory, in their order."""
        ...


@dataclass(frozen=True, slots=True)
class Reordered:
    """Places of the memories, best first, and the relevance of each place. After a failure: as they were, none, and why."""

    model: str
    places: list[int]
    relevance: list[float]
    failure: str = ""


@dataclass(slots=True)
class Reranking:
    """A re-ranker of the `top` best memories. `strict`: a search fails when it does. `asked` and `failed` count its searches."""

    reranker: Reranker
    top: int = 20
    strict: bool = False
    asked: int = 0
    failed: int = 0

    async def order(self, question: str, memories: Sequence[str]) -> Reordered:
        """Of up to `top` memories; equal ones stay in their order. Raises ModelUnavailable only if `strict`."""
        self.asked += 1
        try:
            relevance = [float(one) for one in await self.reranker.rerank(question, memories)]
            if len(relevance) != len(memories) or not all(math.isfinite(one) for one in relevance):
                raise ModelUnavailable(
                    f"the re-ranker {self.reranker.model} gave {len(relevance)} numbers for {len(memories)} memories, "
                    "or some that are none"
                )
        except ModelUnavailable as down:
            self.failed += 1
            if self.strict:
                raise
            # The reason may quote what people said, and stays out of the log.
            logger.warning(
                "the re-ranker %s failed (%d of %d searches); answered without it, explain=True tells why",
                self.reranker.model,
                self.failed,
                self.asked,
            )
            return Reordered(self.reranker.model, [*range(len(memories))], [], str(down))
        places = sorted(range(len(memories)), key=lambda place: -relevance[place])
        return Reordered(self.reranker.model, places, relevance)
