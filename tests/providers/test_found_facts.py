"""Dates, and who is meant: what version 2 of the extraction adds to a fact and its relations."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from memfold.memory.facts import FoundFact
from memfold.providers.asked_messages import Place
from memfold.providers.found_facts import facts_in
from memfold.providers.json_answers import UnusableAnswer
from tests.providers.saying import said


def read(fact: dict[str, object] | None = None, **relation: object) -> FoundFact:
    edge = {"source": "alex", "relationship": "HAS_SISTER", "target": "Maria"} | relation
    told = {"text": "My sister Maria came", "message": 0, "relations": [edge]} | (fact or {})
    (found,) = facts_in(json.dumps({"facts": [told]}), [Place(0, 0)], said("My sister Maria came"))
    return found


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("2024-03-04", "2024-03-04"),
        ("2024-03", "2024-03"),
        ("2024", "2024"),
        ("2024-03-04/2024-03-08", "2024-03-04/2024-03-08"),
        ("2024-03-04T10:00:00+01:00", "2024-03-04T10:00:00+01:00"),
        (" 2024-03-04 ", "2024-03-04"),
        ("next Monday", ""),
        ("2024-13-40", ""),
        ("2024-03-04/", ""),
        ("2024/03/04", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_only_an_absolute_date_is_kept(told: str | None, kept: str) -> None:
    assert read({"when": told}).when == kept


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("2024-03-04", datetime(2024, 3, 4, tzinfo=UTC)),
        ("2024-03", datetime(2024, 3, 1, tzinfo=UTC)),
        ("2024", datetime(2024, 1, 1, tzinfo=UTC)),
        ("2024-03-04/2024-03-08", datetime(2024, 3, 4, tzinfo=UTC)),
        ("2024-03-04T10:00:00+01:00", datetime(2024, 3, 4, 9, tzinfo=UTC)),
        ("0001-01-01T00:00:00+23:00", None),
        ("lately", None),
        (None, None),
    ],
)
def test_a_relation_begins_where_its_date_does(told: str | None, kept: datetime | None) -> None:
    assert read(at=told).relations[0].at == kept


def test_who_is_meant_is_kept() -> None:
    (edge,) = read(target_which=" sister ", source_which=None).relations
    assert (edge.source_which, edge.target_which) == ("", "sister")


@pytest.mark.parametrize("wrong", ["\ud800", "x" * 201])
def test_who_is_meant_has_to_be_storable(wrong: str) -> None:
    with pytest.raises(UnusableAnswer, match="who is meant"):
        read(target_which=wrong)
