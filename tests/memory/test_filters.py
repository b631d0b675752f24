"""What may be written as a filter, and whose memories it is about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from memfold.memory.errors import InvalidInput, InvalidType
from memfold.memory.filters import DEEPEST, All, Condition, Either, Not, parsed
from memfold.memory.matching import matches
from memfold.memory.ports import MemoryRow
from memfold.memory.reach import checked_reach
from memfold.schemas.records import RelationChange, Scope

NONE: dict[str, object] = {"user_id": None, "agent_id": None, "run_id": None}
ALEX = {**NONE, "user_id": "alex"}
NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)


def row(**fields: Any) -> MemoryRow:
    base: dict[str, Any] = {
        "tenant": "t",
        "subject": "s",
        "memory_id": "m",
        "version": 1,
        "text": "I like tea",
    }
    base |= {"scope": Scope("alex", "dev"), "created_at": NOW, "updated_at": NOW, "valid_from": NOW}
    return MemoryRow(**(base | fields))


def passes(filters: dict[str, Any], **fields: Any) -> bool:
    return matches(parsed(filters, {}), row(**fields))


@pytest.mark.parametrize(
    ("filters", "word"),
    [
        ("text", "must be a dict"),
        (["user_id"], "must be a dict"),
        ({7: "x"}, "keys are strings"),
        ({"AND": {"a": 1}}, "must be a list"),
        ({"OR": []}, "is empty"),
        ({"NOT": []}, "is empty"),
        ({"or": [{"a": 1}]}, "write 'OR'"),
        ({"$and": [{"a": 1}]}, "write 'AND'"),
        ({"age": {"gtt": 5}}, "'gtt', which is no operator"),
        ({"age": {}}, "which is no operator"),
        ({"project": {"name": "x"}}, "named by a path, 'metadata.project.…'"),
        ({"age": {"in": 5}}, "in wants a list"),
        ({"age": {"gt": [5]}}, "compares numbers, texts and times"),
        ({"age": {"lt": True}}, "compares numbers, texts and times"),
        ({"age": {"icontains": 5}}, "looks for a text"),
        ({"age": float("nan")}, "NaN"),
        ({"when": NOW}, "metadata holds JSON"),
        ({"age": object()}, "no JSON form"),
        ({"created_at": {"gte": "yesterday"}}, "ISO 8601"),
        ({"agent_id": 7}, "must be a string"),
        ({"agent_id": ["a", "../../x"]}, "looks like a path"),
        ({"metadata": "work"}, "dict of metadata fields"),
    ],
)
def test_what_may_not_be_written(filters: Any, word: str) -> None:
    with pytest.raises((InvalidInput, InvalidType), match=word.replace("$", r"\$")):
        parsed(filters, ALEX)


@pytest.mark.parametrize("name", ["tenant", "tenant_id", "org_id"])
@pytest.mark.parametrize("where", ["beside", "inside"])
def test_no_filter_reaches_another_tenant(name: str, where: str) -> None:
    filters: dict[str, Any] = (
        {name: "zeta"} if where == "beside" else {"OR": [{"NOT": {name: "zeta"}}, {"a": 1}]}
    )
    with pytest.raises(InvalidInput, match="no filter reaches another"):
        checked_reach(filters, ALEX)


@pytest.mark.parametrize(
    "filters",
    [
        {"OR": [{"user_id": "alex"}, {"topic": "tea"}]},
        {"OR": [{"user_id": "alex"}, {"user_id": "kim"}]},
        {"NOT": {"user_id": "alex"}},
        {"AND": [{"OR": [{"agent_id": "dev"}]}]},
        {"user_id": "*"},
        {"user_id": {"ne": "alex"}},
        {"user_id": {"contains": "a"}},
    ],
)
def test_a_scope_that_does_not_hold_everywhere_is_none(filters: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="does not hold for every memory"):
        checked_reach(filters, NONE)


def test_no_scope_at_all_is_asked_for() -> None:
    for filters in (None, {}, {"topic": "tea"}, {"actor_id": "bot"}):
        with pytest.raises(ValueError, match="user_id, agent_id and run_id"):
            checked_reach(filters, NONE)


def test_a_scope_may_stand_anywhere_that_every_match_has_to_pass() -> None:
    filters = {"AND": [{"topic": "tea"}, {"AND": [{"agent_id": ["dev", "research"]}]}], "run_id": {"eq": "r"}}
    reach = checked_reach(filters, ALEX)
    assert (reach.users, reach.agents, reach.runs) == (("alex",), ("dev", "research"), ("r",))
    assert reach.scope() == Scope("alex", None, "r")
    assert not reach.only_scope()
    assert checked_reach({"agent_id": "dev"}, ALEX).only_scope()


def test_ids_that_exclude_each_other_are_an_error() -> None:
    assert checked_reach({"user_id": ["kim", "alex"]}, ALEX).users == ("alex",)
    with pytest.raises(InvalidInput, match="no user_id can pass"):
        checked_reach({"user_id": "kim"}, ALEX)
    with pytest.raises(InvalidInput, match="no agent_id can pass"):
        checked_reach({"agent_id": []}, ALEX)


def test_filters_nest_deep_and_no_deeper_than_a_call_stack() -> None:
    deep: dict[str, Any] = {"topic": "tea"}
    for _ in range(DEEPEST):
        deep = {"NOT": deep}
    assert passes(deep, metadata='{"topic": "tea"}') == (DEEPEST % 2 == 0)
    with pytest.raises(InvalidInput, match="nested more than"):
        parsed({"AND": [deep]}, {})


def test_a_tree_is_what_was_written() -> None:
    tree = parsed({"topic": ["a", "b"], "NOT": [{"score": {"gte": 1, "lt": 5}}]}, {"user_id": "alex"})
    inner = All((Condition("metadata.score", "gte", 1), Condition("metadata.score", "lt", 5)))
    written = All((Condition("metadata.topic", "in", ("a", "b")), Not(Either((inner,)))))
    assert tree == All((Condition("user_id", "eq", "alex"), written))


def test_types_are_those_of_json() -> None:
    one = '{"n": 1, "t": true, "s": "1", "z": null, "o": {"a": [1, 2]}}'
    assert passes({"n": 1.0}, metadata=one)
    assert not passes({"n": True}, metadata=one)
    assert not passes({"n": "1"}, metadata=one)
    assert not passes({"t": 1}, metadata=one)
    assert passes({"z": None, "missing": None}, metadata=one)
    assert not passes({"z": "*"}, metadata=one)
    assert passes({"o": {"eq": {"a": [1, 2.0]}}}, metadata=one)
    assert passes({"o.a": 2, "metadata.o.a": {"contains": 1}}, metadata=one)
    assert not passes({"s": {"gt": 0}}, metadata=one)


def test_times_are_compared_as_times() -> None:
    assert passes({"created_at": {"gte": "2026-03-03T13:00:00+01:00", "lt": NOW.timestamp() + 1}})
    assert not passes({"updated_at": {"gt": NOW}})


def test_relations_and_entities_are_fields() -> None:
    works = RelationChange("ASSERT", "a", "m", "Sarah", "WORKS_AT", "Google Inc.", "PERSON", "ORGANIZATION")
    assert passes(
        {"relationship": "WORKS_AT", "entity": "google", "entity_type": "PERSON"}, relations=[works]
    )
    assert passes({"entity": {"icontains": "SAR"}}, relations=[works])
    assert not passes({"entity": "Apple"}, relations=[works])
    assert passes({"relationship": "*"}, relations=[works])
    assert not passes({"relationship": "*"}, relations=[])


def test_an_entity_without_an_id_orders_by_its_name_alone() -> None:
    relation = RelationChange("ASSERT", "a", "m", "alex", "WORKS_AT", "Google", "PERSON", "COMPANY")
    assert not passes({"entity": {"lt": "Google"}}, relations=[relation])
    assert passes({"entity": {"lt": "H"}}, relations=[relation])
