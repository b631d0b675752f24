"""Bad input: each a clear error of memfold's own, a subclass of the fitting builtin, before anything is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.memory.errors import InvalidInput, InvalidType
from memfold.memory.messages import MAX_TEXT, checked_item, checked_metadata, checked_time
from memfold.memory.recalling import checked_limit, checked_threshold
from memfold.memory.scopes import checked_scope, owner_of
from memfold.memory.writing import PACK_ITEMS, checked_memory_id, pack
from memfold.schemas.records import Item, Message, Scope


def test_no_scope_names_all_three_ids() -> None:
    with pytest.raises(ValueError, match="user_id, agent_id and run_id"):
        checked_scope(actor_id="someone")


@pytest.mark.parametrize("bad", ["", "  ", "a\0b", "x" * 257, "\ud800", "../../x", "a/../b", "..\\x", "a\nb"])
def test_an_id_that_cannot_be_one(bad: str) -> None:
    with pytest.raises(InvalidInput, match="user_id"):
        checked_scope(user_id=bad)


@pytest.mark.parametrize("bad", [7, b"alex", ["alex"], True])
def test_an_id_of_the_wrong_type(bad: Any) -> None:
    with pytest.raises(TypeError, match="user_id must be a string"):
        checked_scope(user_id=bad)


@pytest.mark.parametrize("good", ["alex", "alex@example.org", "a/b", "CON", "用户", "x.y", "' OR 1=1 --"])
def test_opaque_ids_are_taken_as_they_are(good: str) -> None:
    assert checked_scope(user_id=good).user_id == good


def test_memories_belong_to_the_user_before_the_agent_before_the_run() -> None:
    assert owner_of(Scope("u", "a", "r")) == ("user", "u")
    assert owner_of(Scope(None, "a", "r")) == ("agent", "a")
    assert owner_of(Scope(None, None, "r")) == ("run", "r")


@pytest.mark.parametrize(
    ("messages", "word"),
    [
        ("", "blank"),
        (" \n", "blank"),
        ([], "empty"),
        ([{"role": "wizard", "content": "x"}], "wizard"),
        ("x" * (MAX_TEXT + 1), "split"),
        ("a\ud800b", "character 1"),
        ("a\0b", "character 1"),
        ([{"role": "user", "content": "fine"}, ""], r"messages\[1\]"),
    ],
)
def test_messages_that_cannot_be_kept(messages: Any, word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        checked_item(messages)


@pytest.mark.parametrize("messages", [None, 7, b"bytes", [7], {"role": "user"}, [["nested"]]])
def test_messages_of_the_wrong_type(messages: Any) -> None:
    with pytest.raises(InvalidType):
        checked_item(messages)


@pytest.mark.parametrize(
    "bad", [{"x": float("nan")}, {"x": float("inf")}, {"x": object()}, {"x": "\ud800"}, {"x": "y" * 70_000}]
)
def test_metadata_that_is_no_json(bad: Any) -> None:
    with pytest.raises(InvalidInput, match="metadata"):
        checked_metadata(bad)


@pytest.mark.parametrize("bad", ["text", 7, {7: "x"}, [("a", 1)]])
def test_metadata_of_the_wrong_type(bad: Any) -> None:
    with pytest.raises(InvalidType, match="metadata"):
        checked_metadata(bad)


@pytest.mark.parametrize("bad", [0, -1, 10_001])
def test_a_limit_out_of_range(bad: int) -> None:
    with pytest.raises(InvalidInput, match=f"limit is {bad}"):
        checked_limit(bad)


@pytest.mark.parametrize("bad", ["5", 1.0, True, None])
def test_a_limit_of_the_wrong_type(bad: Any) -> None:
    with pytest.raises(InvalidType, match="limit"):
        checked_limit(bad)


def test_a_threshold_is_a_score() -> None:
    assert checked_threshold(None) == 0
    for bad in (float("nan"), -0.1, 1.1):
        with pytest.raises(InvalidInput, match="between 0 and 1"):
            checked_threshold(bad)
    with pytest.raises(InvalidType):
        checked_threshold("high")


@pytest.mark.parametrize("bad", ["../../x", "7", "", "nonsense"])
def test_a_memory_id_that_is_none(bad: str) -> None:
    with pytest.raises(InvalidInput, match="memory_id"):
        checked_memory_id(bad)


def test_a_memory_id_of_the_wrong_type() -> None:
    with pytest.raises(InvalidType):
        checked_memory_id(7)
    with pytest.raises(InvalidInput):
        checked_memory_id(None)


def test_times_are_utc_whatever_they_came_as() -> None:
    noon = datetime(2026, 3, 3, 12, tzinfo=UTC)
    for same in (
        noon,
        "2026-03-03T12:00:00Z",
        "2026-03-03T14:00:00+02:00",
        noon.timestamp(),
        "2026-03-03T12:00",
    ):
        assert checked_time(same) == noon
    assert checked_time(noon.astimezone(timezone(timedelta(hours=5)))) == noon
    for bad in ("yesterday", 1e20, float("nan")):
        with pytest.raises(InvalidInput):
            checked_time(bad)
    with pytest.raises(InvalidType):
        checked_time([2026])


@given(st.lists(st.integers(0, 60_000), max_size=250))
def test_packs_keep_every_item_in_order_and_stay_small(sizes: list[int]) -> None:
    items = [Item([Message("user", "x" * size)]) for size in sizes]
    packs = pack(items)
    assert [item for one in packs for item in one] == items
    assert all(0 < len(one) <= PACK_ITEMS for one in packs)
