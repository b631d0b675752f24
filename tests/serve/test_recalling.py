"""Searches over real shards: filters come before the best are taken, and a scope too large to hold gives the same answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from memfold.memory.corpora import Corpora
from memfold.memory.deciding import decide
from memfold.memory.reach import checked_reach
from memfold.memory.recalling import Recalling
from memfold.memory.results import memory_result
from memfold.memory.state import SubjectState
from memfold.memory.understanding import Models
from memfold.memory.weights import Weights
from memfold.projections.base import Position
from memfold.projections.vector_feed import LanceMemoryFeed
from memfold.providers.offline_decider import OfflineDecider
from memfold.providers.offline_extractor import OfflineExtractor
from memfold.providers.wordllama_embedder import WordLlamaEmbedder
from memfold.schemas.records import AddRequested, Envelope, Event, Item, Message, Scope
from memfold.serve.evaluation_room import TENANT, Room

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)


class Home(Room):
    """A room whose memories belong to several users and agents, with metadata."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, WordLlamaEmbedder(), Weights())
        self.models = Models(WordLlamaEmbedder(), OfflineExtractor(), OfflineDecider())
        self.states: dict[str, SubjectState] = {}
        self.count = 0

    async def tell(self, text: str, scope: Scope, infer: bool = False, **metadata: Any) -> None:
        kind, name = ("user", scope.user_id) if scope.user_id else ("agent", scope.agent_id)
        subject = self.recalling.subjects.subject_of(TENANT, kind, name or "")
        command = AddRequested(scope, [Item([Message("user", text)], json.dumps(metadata))], infer)
        self.count += 1
        command_id = f"00000000-0000-4000-8000-{self.count:012d}"
        when = NOW + timedelta(days=self.count)
        body = await decide(
            command, command_id, when, self.states.setdefault(subject, SubjectState()), self.models
        )
        envelope = Envelope(
            command_id, "memories_decided", TENANT, subject, command_id, when, b"", "", b"", self.count
        )
        self.apply(Event(0, self.count, when, envelope, body), Position(offset=self.count))

    async def find(self, question: str, filters: Any = None, limit: int = 10, **ids: str) -> list[str]:
        found = await self.recalling.search(question, checked_reach(filters, ids), limit, 0.0)
        return [hit.row.text for hit in found.hits]


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    with closing(Home(tmp_path)) as home:
        alex, kim = Scope("alex"), Scope("kim")
        await home.tell("I like green tea", alex, topic="drinks", score=3, tags=["hot", "green"])
        await home.tell("I like black coffee", alex, topic="drinks", score=5)
        await home.tell("Green is my colour", alex, topic="colours", project={"name": "house"})
        await home.tell("I like tea with milk", kim, topic="drinks")
        await home.tell("Tea sells in winter", Scope(agent_id="research"), topic="market")
        await home.tell("Tea is shipped by rail", Scope(agent_id="dev"))
        await home.tell("Tea tastes of smoke", Scope("kim", "dev"))
        await home.tell("I met Sarah from Google", alex, infer=True)
        yield home


async def test_filters_come_before_the_best_are_taken(home: Home) -> None:
    assert (await home.find("green tea", user_id="alex"))[0] == "I like green tea"
    assert await home.find("green tea", {"topic": "colours"}, limit=1, user_id="alex") == [
        "Green is my colour"
    ]
    assert await home.find("tea", {"score": {"gt": 3}}, limit=1, user_id="alex") == ["I like black coffee"]
    assert await home.find("tea", {"OR": [{"tags": "hot"}, {"project.name": "house"}]}, user_id="alex") == [
        "I like green tea",
        "Green is my colour",
    ]
    assert await home.find("tea", {"topic": "nothing"}, user_id="alex") == []


async def test_agents_share_their_memories_with_who_asks_for_both(home: Home) -> None:
    found = await home.find("tea", {"agent_id": ["research", "dev"]})
    assert set(found) == {"Tea sells in winter", "Tea is shipped by rail", "Tea tastes of smoke"}
    assert await home.find("tea", {"AND": [{"agent_id": ["research", "dev"]}, {"topic": "market"}]}) == [
        "Tea sells in winter"
    ]
    assert set(await home.find("tea", {"user_id": ["alex", "kim"], "topic": "drinks"})) == {
        "I like green tea",
        "I like tea with milk",
        "I like black coffee",
    }
    assert await home.find("tea", user_id="nobody") == []


async def test_relations_of_several_agents_come_with_their_memories(home: Home) -> None:
    await home.tell("I met Ines from Lufthansa", Scope(agent_id="dev"), infer=True)
    await home.tell("I met Tom from Siemens", Scope(agent_id="other"), infer=True)
    reach = checked_reach({"agent_id": ["research", "dev"]}, {})
    found = await home.recalling.search("who works where", reach, 10, 0.0)
    _, relations = await home.recalling.get_all(reach, 100)
    for given in (found.relations, relations):
        assert {relation.target for relation in given} >= {"Lufthansa"}
        assert not {relation.target for relation in given} & {"Siemens", "Google"}


async def test_a_relationship_gives_its_relations_and_their_evidence(home: Home) -> None:
    reach = checked_reach({"relationship": "WORKS_AT"}, {"user_id": "alex"})
    found = await home.recalling.search("people who work at Google", reach, 10, 0.1)
    assert [(r.source, r.relationship, r.target) for r in found.relations] == [
        ("Sarah", "WORKS_AT", "Google")
    ]
    assert {hit.row.memory_id for hit in found.hits} == {found.relations[0].memory_id}
    assert await home.find("work", {"relationship": "WORKS_AT", "entity": "Apple"}, user_id="alex") == []
    # What the filter leaves out is no evidence either, though the question names it.
    for filters, count in (({"topic": "drinks"}, 0), (None, 1)):
        reach = checked_reach(filters, {"user_id": "alex"})
        found = await home.recalling.search("Google", reach, 10, 0.0)
        assert [r.relationship for r in found.relations].count("WORKS_AT") == count


async def test_get_all_filters_as_search_does(home: Home) -> None:
    for filters in (
        {"topic": "drinks"},
        {"NOT": {"topic": "*"}},
        {"created_at": {"gte": "2026-03-06"}},
        None,
    ):
        reach = checked_reach(filters, {"user_id": "alex"})
        rows, relations = await home.recalling.get_all(reach, 100)
        found = await home.find("tea", filters, limit=100, user_id="alex")
        assert sorted(row.text for row in rows) == sorted(found)
        assert {relation.memory_id for relation in relations} <= {row.memory_id for row in rows}
        first, _ = await home.recalling.get_all(reach, 1)
        assert first == rows[:1]


@pytest.mark.parametrize("indexed", [False, True])
async def test_a_scope_too_large_to_hold_gives_the_same_answers(home: Home, indexed: bool) -> None:
    feed = LanceMemoryFeed(home.index.tables, 1)
    held = home.recalling
    large = Recalling(
        held.tenant,
        held.index,
        Corpora(TENANT, feed, most=2),
        held.graph,
        held.subjects,
        held.embedder,
        held.weights,
        wide=held.wide if indexed else None,
    )
    for filters in (
        None,
        {"topic": "drinks"},
        {"memory": {"contains": "Tea"}, "agent_id": ["dev", "research"]},
    ):
        ids = {} if filters and "agent_id" in filters else {"user_id": "alex"}
        reach = checked_reach(filters, ids)
        one, other = (
            await held.search("green tea", reach, 5, 0.0),
            await large.search("green tea", reach, 5, 0.0),
        )
        assert {hit.row.memory_id for hit in one.hits} == {hit.row.memory_id for hit in other.hits}
        assert one.hits[0].row == other.hits[0].row
        assert one.searched.words == "exact"
        assert (other.searched.meaning, other.searched.words) == ("exact", "candidates")
        assert one.relations == other.relations


async def test_what_was_written_is_found_at_once(home: Home) -> None:
    assert (await home.find("where is the bicycle", user_id="alex"))[0] != "The bicycle is in the cellar"
    await home.tell("The bicycle is in the cellar", Scope("alex"))
    assert (await home.find("where is the bicycle", user_id="alex"))[0] == "The bicycle is in the cellar"


async def test_an_explained_result_names_every_part_of_its_score(home: Home) -> None:
    found = await home.recalling.search("green tea", checked_reach(None, {"user_id": "alex"}), 1, 0.1)
    (hit,) = found.hits
    result = memory_result(hit.row, hit.score, hit.parts)
    assert result["score_details"].keys() <= set(Weights.model_fields)
    assert {"meaning", "words", "substance"} <= result["score_details"].keys()
    assert "score_details" not in memory_result(hit.row, hit.score)
