"""Which messages a chat model is shown, how, and in how many calls."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.memory.errors import ModelUnavailable
from memfold.memory.facts import Candidate, FoundFact, Similar, Utterances
from memfold.providers.asked_candidates import LONGEST_SHOWN
from memfold.providers.asked_messages import AT_ONCE, CHARACTERS, CONTEXT, Place, shown
from memfold.providers.pieces import MOST_PIECES, pieces
from memfold.providers.presets import models_from
from memfold.schemas.records import Item, Message
from tests.emulator.openai_server import OpenAIServer
from tests.providers.conftest import ModelSet, settings_for
from tests.providers.saying import said

CHAT = "/v1/chat/completions"
DAY = datetime(2024, 3, 1, tzinfo=UTC)
DIALOGUE = Item(
    [
        Message("system", "You are kind."),
        Message("user", "I like coffee"),
        Message("assistant", "With milk? " + "x" * 2 * CONTEXT),
        Message("user", "I prefer tea", "bo"),
        Message("assistant", "Noted.", "Ada"),
    ],
    said_at=DAY,
)


def lines_of(said: Utterances, *roles: str) -> list[dict[str, Any]]:
    (call,) = shown(said, roles)
    lines: Any = call.data["messages"]
    return list(lines)


def test_messages_have_their_time_and_who_said_them() -> None:
    utterances = Utterances(
        [DIALOGUE, Item([Message("user", "I run")])], "alex", datetime(2024, 4, 2, tzinfo=UTC)
    )
    lines = lines_of(utterances, "user")
    assert [line for line in lines if "message" in line] == [
        {"message": 0, "said": "I like coffee", "said_at": "2024-03-01T00:00:00+00:00"},
        {"message": 1, "said": "I prefer tea", "said_at": "2024-03-01T00:00:00+00:00", "speaker": "bo"},
        {"message": 2, "said": "I run", "said_at": "2024-04-02T00:00:00+00:00"},
    ]


def test_what_assistants_said_is_context_without_a_number() -> None:
    lines = lines_of(Utterances([DIALOGUE], "alex"), "user")
    assert [line.get("context") for line in lines] == [None, "assistant", None, "assistant"]
    assert len(lines[1]["said"]) == CONTEXT


def test_everyone_means_assistants_too() -> None:
    lines = lines_of(Utterances([DIALOGUE], "alex"), "user", "assistant")
    assert [(line["message"], line.get("speaker")) for line in lines] == [
        (0, None),
        (1, "assistant"),
        (2, "bo"),
        (3, "Ada"),
    ]


async def test_facts_know_who_said_them(server: OpenAIServer) -> None:
    for facts_from, speakers in (("users", ["", "bo"]), ("everyone", ["", "assistant", "bo", "Ada"])):
        models = ModelSet(*models_from(settings_for(server, facts_from=facts_from)))
        facts = (await models.extractor.extract(Utterances([DIALOGUE], "alex"))).facts
        assert [fact.speaker for fact in facts] == speakers
        await models.close()


async def test_i_is_who_said_it(server: OpenAIServer, remote: ModelSet) -> None:
    item = Item([Message("user", "I like coffee", "bo"), Message("user", "I like coffee")])
    edge = {"source": "I", "relationship": "LIKES", "target": "tea"}
    answer = {"facts": [{"text": "x", "message": number, "relations": [edge]} for number in (0, 1)]}
    server.will_say(json.dumps(answer))
    facts = (await remote.extractor.extract(Utterances([item], "alex"))).facts
    assert [fact.relations[0].source for fact in facts] == ["bo", "alex"]


@pytest.mark.usefixtures("no_waits")
async def test_no_fact_comes_from_context(server: OpenAIServer, remote: ModelSet) -> None:
    server.will_say('{"facts": [{"text": "x", "message": 2}]}', times=3)
    with pytest.raises(ModelUnavailable, match="message 2, which was not shown"):
        await remote.extractor.extract(Utterances([DIALOGUE], "alex"))


LENGTHS = st.lists(st.sampled_from([1, 100, 1_000, CHARACTERS - 1, CHARACTERS, 256 * 1024]), max_size=300)


@given(LENGTHS, st.integers(1, 5))
def test_the_calls_of_a_command_are_bounded_and_show_every_message_once(
    lengths: list[int], per_item: int
) -> None:
    messages = [Message("user", "x" * length) for length in lengths]
    items = [Item(messages[start : start + per_item]) for start in range(0, len(messages), per_item)]
    calls = shown(Utterances(items, "alex"), ["user"])
    assert len(calls) <= MOST_PIECES
    assert [place for call in calls for place in call.places] == [
        Place(number, message) for number, item in enumerate(items) for message in range(len(item.messages))
    ]


async def test_a_hundred_messages_are_three_calls_to_find_and_three_to_decide(
    server: OpenAIServer, remote: ModelSet
) -> None:
    extraction = await remote.extractor.extract(said(*(f"I saw film {n}" for n in range(100))))
    assert [(fact.text, fact.item) for fact in extraction.facts] == [
        (f"I saw film {n}", n) for n in range(100)
    ]
    assert len(extraction.calls) == server.requests[CHAT] == 3
    similar = [Similar("m", "I like films", 0.5)]
    answer = await remote.decider.decide([Candidate(fact, similar) for fact in extraction.facts])
    assert [decision.fact for decision in answer.decisions] == list(range(100))
    assert len(answer.calls) == 3
    assert server.requests[CHAT] == 6
    assert all(len(json.loads(asked(body))) <= AT_ONCE for body in server.bodies[3:])


def asked(body: dict[str, Any]) -> str:
    content: str = body["messages"][1]["content"]
    return content.split("\n")[1]


@pytest.mark.usefixtures("no_waits")
async def test_half_of_the_calls_is_no_answer_and_all_are_recorded(
    server: OpenAIServer, remote: ModelSet
) -> None:
    server.misbehave("400")
    with pytest.raises(ModelUnavailable, match="HTTP 400") as raised:
        await remote.extractor.extract(said(*(f"I saw film {n}" for n in range(100))))
    assert sorted(call.error[:8] for call in raised.value.calls) == ["", "", "HTTP 400"]


async def test_a_memory_is_changed_once_over_all_calls(server: OpenAIServer, remote: ModelSet) -> None:
    facts = [FoundFact(f"Actually, I prefer tea now {n}") for n in range(50)]
    similar = [Similar("coffee", "I like coffee", 0.5)]
    decisions = (await remote.decider.decide([Candidate(fact, similar) for fact in facts])).decisions
    assert [decision.op for decision in decisions].count("UPDATE") == 1
    assert [decision.fact for decision in decisions] == list(range(50))


@given(st.lists(st.integers(0, 400)), st.integers(1, 9), st.integers(1, 900))
def test_pieces_are_bounded_and_hold_everything_in_order(
    sizes: list[int], at_once: int, characters: int
) -> None:
    cut = list(pieces(range(len(sizes)), sizes, at_once, characters))
    assert len(cut) <= MOST_PIECES
    assert [thing for piece in cut for thing in piece] == (list(range(len(sizes))) if any(sizes) else [])
    longest = max(characters, -(-sum(sizes) // 4))
    for piece in cut:
        counted = [sizes[thing] for thing in piece if sizes[thing]]
        assert len(counted) == 1 or sum(counted) <= longest


def test_much_context_is_cut_to_the_last_of_it() -> None:
    chatter = [Message("assistant", f"word {n}") for n in range(100)]
    lines = lines_of(Utterances([Item([*chatter, Message("user", "I like coffee")])], "alex"), "user")
    assert [line["said"] for line in lines] == [*(f"word {n}" for n in range(60, 100)), "I like coffee"]


async def test_a_memory_too_long_to_be_shown_is_not_rewritten(server: OpenAIServer, remote: ModelSet) -> None:
    long = Similar("long", "I like coffee. " * 1_000, 0.5)
    candidates = [Candidate(FoundFact("Actually, I prefer tea now"), [long])]
    server.will_say('{"decisions": [{"fact": 0, "op": "UPDATE", "id": 0, "text": "I prefer tea"}]}')
    (decision,) = (await remote.decider.decide(candidates)).decisions
    assert (decision.op, decision.memory_id, decision.text) == ("ADD", None, "Actually, I prefer tea now")
    assert len(json.loads(asked(server.bodies[0]))[0]["similar"][0]["text"]) == LONGEST_SHOWN
    server.will_say('{"decisions": [{"fact": 0, "op": "DELETE", "id": 0, "text": ""}]}')
    (decision,) = (await remote.decider.decide(candidates)).decisions
    assert (decision.op, decision.memory_id) == ("DELETE", "long")
