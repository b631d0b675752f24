"""A second look in a search: the best come in its order, the rest behind them, and nobody's search fails because it does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from memfold.memory.errors import InvalidInput, ModelUnavailable
from memfold.memory.reach import checked_reach
from memfold.memory.recalling import Found
from memfold.memory.reranking import Reranking
from memfold.memory.results import reranker_result
from memfold.memory.weights import Weights
from memfold.providers.wordllama_embedder import WordLlamaEmbedder
from memfold.serve.evaluation_file import Remembered
from memfold.serve.evaluation_room import Room

ALEX = checked_reach(None, {"user_id": "alex"})


class Shortest:
    """The shorter the better; `says` is what it answers instead."""

    model = "test/shortest"

    def __init__(self) -> None:
        self.shown: list[list[str]] = []
        self.says: Sequence[float] | ModelUnavailable | None = None

    async def rerank(self, question: str, memories: Sequence[str]) -> Sequence[float]:
        self.shown.append([*memories])
        if isinstance(self.says, ModelUnavailable):
            raise self.says
        return [1 / len(text) for text in memories] if self.says is None else self.says


class Looking:
    """A room whose searches have a second look at the best three."""

    def __init__(self, room: Room) -> None:
        self.reranker = Shortest()
        self.reranking = Reranking(self.reranker, top=3)
        self.recalling = replace(room.recalling, reranking=self.reranking)

    async def find(self, limit: int, rerank: bool | None = None) -> Found:
        return await self.recalling.search("ferry to the island", ALEX, limit, 0.0, rerank)


@pytest.fixture
async def looking(tmp_path: Path) -> AsyncIterator[Looking]:
    with closing(Room(tmp_path, WordLlamaEmbedder(), Weights())) as room:
        texts = [
            "The ferry to the island leaves at noon, and again at six in summer",
            "The ferry to the island is red and rather old",
            "An island ferry",
            "Boats are slow",
            "I like tea",
        ]
        await room.add("alex", [Remembered(f"m{n}", text) for n, text in enumerate(texts)])
        yield Looking(room)


async def test_the_best_are_put_in_its_order_and_the_rest_stays_behind(looking: Looking) -> None:
    alone = await looking.find(5, rerank=False)
    assert alone.reordered is None
    found = await looking.find(5)
    texts = [hit.row.text for hit in found.hits]
    assert texts[:3] == sorted(texts[:3], key=len)
    assert sorted(texts[:3]) == sorted(hit.row.text for hit in alone.hits[:3])
    assert texts[3:] == [hit.row.text for hit in alone.hits[3:]]
    assert {hit.row.memory_id: hit.score for hit in found.hits} == {
        hit.row.memory_id: hit.score for hit in alone.hits
    }, "the score stays the ranking's"
    assert [hit.parts.get("reranker") for hit in found.hits[:3]] == [1 / len(text) for text in texts[:3]]
    assert not any("reranker" in hit.parts for hit in found.hits[3:])
    assert found.reordered is not None
    assert reranker_result(found.reordered) == {
        "reranker": {"model": "test/shortest", "read": 3, "failed": None}
    }


async def test_it_reads_more_than_are_asked_for(looking: Looking) -> None:
    (hit,) = (await looking.find(1)).hits
    assert hit.row.text == "An island ferry"
    assert [len(shown) for shown in looking.reranker.shown] == [3]


@pytest.mark.parametrize(
    "says", [ModelUnavailable("it is away"), [0.5], [0.5, float("nan"), 0.1], [0.1, 0.2, 0.3, 0.4]]
)
async def test_when_it_fails_the_rankings_order_stands(
    looking: Looking, says: Sequence[float] | ModelUnavailable
) -> None:
    alone = await looking.find(2, rerank=False)
    looking.reranker.says = says
    found = await looking.find(2)
    assert found.hits == alone.hits
    assert found.reordered is not None
    assert reranker_result(found.reordered)["reranker"]["failed"]
    looking.reranking.strict = True
    with pytest.raises(ModelUnavailable):
        await looking.find(2)
    assert (looking.reranking.asked, looking.reranking.failed) == (2, 2)


async def test_equal_ones_stay_in_their_order(looking: Looking) -> None:
    alone = await looking.find(5, rerank=False)
    looking.reranker.says = [0.5, 0.5, 0.5]
    assert [hit.row for hit in (await looking.find(5)).hits] == [hit.row for hit in alone.hits]


async def test_what_is_not_there_cannot_be_wanted(looking: Looking) -> None:
    looking.recalling = replace(looking.recalling, reranking=None)
    with pytest.raises(InvalidInput, match="MEMFOLD_RERANKER__PROVIDER=llm"):
        await looking.find(5, rerank=True)
    assert (await looking.find(5)).reordered is None
