"""What counts once, and what is refused, before anything is written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.memory.errors import InvalidInput, InvalidType, MemfoldError
from memfold.memory.intake import brought_key, checked_said, key_of_record

names = st.text(min_size=1, max_size=12)


@given(
    st.tuples(names, st.sampled_from(["key", "at"]), names),
    st.tuples(names, st.sampled_from(["key", "at"]), names),
)
def test_two_records_have_one_key_only_if_source_kind_and_value_are_the_same(one: Any, other: Any) -> None:
    assert (key_of_record(*one) == key_of_record(*other)) == (one == other)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ({"text": "x"}, "whose it is"),
        ({"user_id": "u"}, "no text"),
        ({"user_id": "u", "text": " "}, "blank"),
        ({"user_id": "u", "text": 5}, "must be a string"),
        ({"user_id": "../u", "text": "x"}, "looks like a path"),
        ({"user_id": "u", "text": "x", "role": "painter"}, "'painter'"),
        ({"user_id": "u", "text": "x", "time": "soon"}, "is no time"),
        ({"user_id": "u", "messages": "x"}, "must be a list"),
        ({"user_id": "u", "messages": []}, "empty"),
        ({"user_id": "u", "text": "x", "metadata": [1]}, "metadata"),
    ],
)
def test_what_cannot_be_taken_in_says_why(found: dict[str, Any], reason: str) -> None:
    with pytest.raises(MemfoldError, match=reason):
        checked_said(found, "k")


def test_a_user_that_is_a_number_is_one_as_text_and_a_role_is_a_users_by_default() -> None:
    said = checked_said({"user_id": 7, "text": "I like tea", "name": "Alex"}, "k")
    assert said.scope.user_id == "7"
    (message,) = said.item.messages
    assert (message.role, message.content, message.name) == ("user", "I like tea", "Alex")


def test_a_mapped_key_that_is_not_there_is_refused_instead_of_counting_by_place() -> None:
    with pytest.raises(InvalidInput, match="no idempotency_key"):
        brought_key(None)
    with pytest.raises(InvalidType):
        brought_key(1.5)
    assert brought_key(12) == "12"
