from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.memory import walking
from memfold.memory.ports import Around, Relation, Walk
from memfold.memory.walking import around, meant

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def relation(
    source: str,
    target: str,
    relationship: str = "KNOWS",
    *,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
    until: datetime | None = None,
) -> Relation:
    ids = source.casefold(), target.casefold()
    names = source.partition("#")[0], target.partition("#")[0]
    return Relation(
        names[0], "PERSON", relationship, names[1], "PERSON", "memory", f"{source}{relationship}{target}", 1.0, MARCH,
        *ids, valid_from, valid_to, until,
    )  # fmt: skip


def found(relations: list[Relation], walk: Walk) -> list[tuple[int, str, str]]:
    return [
        (near.distance, near.relation.source, near.relation.target)
        for near in around(relations, walk).relations
    ]


CHAIN = [relation("Ann", "Bob"), relation("Bob", "Cem"), relation("Cem", "Dan"), relation("Dan", "Eve")]
CHAIN += [relation("Zoe", "Yan")]


def test_it_goes_as_far_as_asked_in_both_directions_nearest_first() -> None:
    assert found(CHAIN, Walk("Bob")) == [(1, "Ann", "Bob"), (1, "Bob", "Cem")]
    assert found(CHAIN, Walk("Bob", hops=2)) == [(1, "Ann", "Bob"), (1, "Bob", "Cem"), (2, "Cem", "Dan")]
    assert [one[0] for one in found(CHAIN, Walk("ann", hops=3))] == [1, 2, 3]
    assert around(CHAIN, Walk("nobody")) == Around([], [], False)


def test_a_cycle_ends_where_it_began_and_a_relation_to_itself_counts_once() -> None:
    ring = [relation("Ann", "Bob"), relation("Bob", "Ann"), relation("Bob", "Bob"), relation("Bob", "Cem")]
    ring += [relation("Cem", "Ann")]
    walked = found(ring, Walk("Ann", hops=3))
    assert sorted(walked) == [
        (1, "Ann", "Bob"),
        (1, "Bob", "Ann"),
        (1, "Cem", "Ann"),
        (2, "Bob", "Bob"),
        (2, "Bob", "Cem"),
    ]


def test_only_the_relationship_is_followed() -> None:
    mixed = [
        relation("Ann", "Bob", "LIKES"),
        relation("Bob", "Cem"),
        relation("Ann", "Dan"),
        relation("Dan", "Eve"),
    ]
    assert found(mixed, Walk("Ann", "KNOWS", hops=2)) == [(1, "Ann", "Dan"), (2, "Dan", "Eve")]
    assert found(mixed, Walk(None, "LIKES")) == [(0, "Ann", "Bob")]


def test_a_name_may_mean_two_and_an_id_means_one() -> None:
    two = [relation("Maria#dentist", "Ann"), relation("Maria", "Bob"), relation("Google Inc.", "Cem")]
    assert meant("Maria", two) == ["maria#dentist", "maria"]
    assert found(two, Walk("Maria")) == [(1, "Maria", "Ann"), (1, "Maria", "Bob")]
    assert found(two, Walk("maria#dentist")) == [(1, "Maria", "Ann")]
    assert meant("maria", two) == ["maria"], "an id is meant before a name"
    assert meant("the google", two) == ["google inc."]


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    star = [relation("Hub", f"n{number}") for number in range(20)]
    star += [relation(f"n{number}", f"m{number}") for number in range(20)]
    whole = around(star, Walk("Hub", hops=2))
    assert (len(whole.relations), whole.more) == (40, False)
    cut = around(star, Walk("Hub", hops=2, limit=25))
    assert (cut.relations, cut.more) == (whole.relations[:25], True)
    assert around(star, Walk(limit=40)).more is False
    assert around(star, Walk(limit=39)).more is True
    monkeypatch.setattr(walking, "EXPANDED", 11)
    capped = around(star, Walk("Hub", hops=2))
    assert (len(capped.relations), capped.more) == (30, True)


def test_what_has_ended_is_told_only_when_asked_for() -> None:
    gone = [relation("Ann", "Bob", until=MARCH + DAY), relation("Ann", "Cem")]
    assert found(gone, Walk("Ann")) == [(1, "Ann", "Cem")]
    assert found(gone, Walk("Ann", ended=True)) == [(1, "Ann", "Bob"), (1, "Ann", "Cem")]


@pytest.mark.parametrize(
    ("told", "true_at", "ended", "counts"),
    [
        ({}, MARCH, False, True),
        ({}, MARCH - DAY, False, False),
        ({"valid_from": MARCH - 9 * DAY}, MARCH - 9 * DAY, False, True),
        ({"valid_from": MARCH + DAY}, MARCH, False, False),
        ({"until": MARCH + 3 * DAY, "valid_to": MARCH + DAY}, MARCH, False, True),
        ({"until": MARCH + 3 * DAY, "valid_to": MARCH + DAY}, MARCH + DAY, True, False),
        ({"until": MARCH + DAY, "valid_to": MARCH + 3 * DAY}, MARCH + 2 * DAY, False, True),
        ({"until": MARCH + DAY}, MARCH, False, False),
        ({"until": MARCH + DAY}, MARCH, True, True),
        ({"until": MARCH + DAY}, MARCH + DAY, True, False),
    ],
)
def test_what_was_true_at_a_moment(
    told: dict[str, Any], true_at: datetime, ended: bool, counts: bool
) -> None:
    walk = Walk("Ann", valid_at=true_at, ended=ended)
    assert bool(found([relation("Ann", "Bob", **told)], walk)) is counts


EDGES = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=14, unique=True)


@given(EDGES, st.integers(0, 7), st.integers(1, 3))
def test_a_distance_is_the_length_of_the_shortest_way(
    edges: list[tuple[int, int]], start: int, hops: int
) -> None:
    far = {start: 0}
    for step in range(8):
        for one, other in [*edges, *((b, a) for a, b in edges)]:
            if far.get(one) == step and other not in far:
                far[other] = step + 1
    wanted = {
        (min(far[one], far[other]) + 1, str(one), str(other))
        for one, other in edges
        if one in far and min(far[one], far[other]) < hops
    }
    walked = found([relation(str(one), str(other)) for one, other in edges], Walk(str(start), hops=hops))
    assert set(walked) == wanted
    assert len(walked) == len(wanted)
    assert walked == sorted(walked, key=lambda one: one[0])
