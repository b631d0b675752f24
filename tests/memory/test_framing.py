"""The frame of a transcript's line is taken off, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.memory.framing import embedded, framed

MAY = datetime(2023, 5, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "words", "day", "label"),
    [
        ("(08 May 2023) Caroline: I went to a group", "I went to a group", MAY, "Caroline"),
        ("[2023-05-08] I went to a group", "I went to a group", MAY, ""),
        ("[2023-05-08 00:00] Anna Maria: hello", "hello", MAY, "Anna Maria"),
        ("Caroline: I went", "I went", None, "Caroline"),
        ("Diet: vegetarian", "vegetarian", None, "Diet"),
        ("(see below) Caroline: I went", "(see below) Caroline: I went", None, ""),
        ("at 12:30 I ate", "at 12:30 I ate", None, ""),
        ("http://example.org is down", "http://example.org is down", None, ""),
        ("Caroline:", "Caroline:", None, ""),
    ],
)
def test_a_frame(text: str, words: str, day: datetime | None, label: str) -> None:
    assert framed(text) == (words, day, label)


def test_a_label_without_a_date_may_be_the_subject_and_is_embedded() -> None:
    assert embedded("Diet: vegetarian") == "Diet: vegetarian"
    assert embedded("(08 May 2023) Caroline: I went") == "I went"


@given(st.text())
def test_words_are_never_lost(text: str) -> None:
    assert text.endswith(framed(text).words)
    assert bool(embedded(text)) == bool(text)
