"""The tolerant reader: every form a model may give the JSON, and no half answers."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from memfold.providers.json_answers import UnusableAnswer, read_answer


class Entry(Struct):
    text: str
    number: int = 0


class Answer(Struct):
    facts: list[Entry]


GOOD = '{"facts": [{"text": "a }] \\" {", "number": 1}, {"text": "b"}]}'
MEANT = Answer([Entry('a }] " {', 1), Entry("b")])

FORMS = {
    "bare": GOOD,
    "spaces and a mark": f"\ufeff \n{GOOD}\n ",
    "fence": f"```json\n{GOOD}\n```",
    "fence without a name": f"Here:\n```\n{GOOD}\n```\nDone.",
    "prose before and after": f"Sure [as asked]! Here {{you}} go: {GOOD} Anything else?",
    "thinking": f'<think>{{"facts": []}} or not</think>{GOOD}',
    "trailing commas": GOOD.replace("}]}", "},\n]\n,}"),
    "bare list": GOOD.removeprefix('{"facts": ').removesuffix("}"),
    "numbers as text": GOOD.replace("1}", '"1"}'),
    "more than was asked": GOOD.replace('"number": 1', '"number": 1, "mood": "fine"'),
}

BAD = {
    "nothing": "",
    "prose": "I found no facts.",
    "cut off": GOOD[:-20],
    "cut off behind a whole entry": GOOD[: GOOD.index(', {"text"') + 1],
    "cut off in a fence": f"```json\n{GOOD[:-20]}",
    "another object": '{"memories": []}',
    "wrong type": '{"facts": [{"text": 5}]}',
    "NaN": '{"facts": [{"text": "a", "number": NaN}]}',
    "a number": "7",
    "empty list in prose": "I looked at your messages [] and found nothing",
    "very deep": "[" * 100_000,
    "deep and closed": "[" * 100_000 + "]" * 100_000,
    "endless thinking": "<think>" * 60_000,
    "thinking cut off": '<think>{"facts": []}',
    "huge number": '{"facts": [{"text": "a", "number": ' + "9" * 5_000 + "}]}",
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(form: str) -> None:
    assert read_answer(FORMS[form], Answer, list_of="facts") == MEANT


@pytest.mark.parametrize("form", BAD)
def test_what_is_no_answer_is_refused(form: str) -> None:
    with pytest.raises(UnusableAnswer):
        read_answer(BAD[form], Answer, list_of="facts")


@pytest.mark.parametrize("empty", ['{"facts": []}', "[]", "```\n[]\n```"])
def test_no_facts_is_an_answer(empty: str) -> None:
    assert read_answer(empty, Answer, list_of="facts") == Answer([])


@given(st.text() | st.text('{}[]",:\\` \nfacts0123456789', max_size=200))
def test_any_text_is_an_answer_or_the_one_error(text: str) -> None:
    with suppress(UnusableAnswer):
        assert isinstance(read_answer(text, Answer, list_of="facts"), Answer)


@given(st.integers(1, len(GOOD) - 1))
def test_no_prefix_of_an_answer_is_an_answer(length: int) -> None:
    with pytest.raises(UnusableAnswer):
        read_answer(GOOD[:length], Answer, list_of="facts")


@given(st.lists(st.builds(Entry, st.text(), st.integers(-9, 9))), st.text("abc \n.,!?", max_size=40))
def test_an_answer_survives_its_wrapping(entries: list[Entry], prose: str) -> None:
    facts = [{"text": entry.text, "number": entry.number} for entry in entries]
    for text in (
        json.dumps({"facts": facts}),
        f"{prose}\n```json\n{json.dumps({'facts': facts}, indent=1)}\n```\n{prose}",
        f"{prose} {json.dumps({'facts': facts})} {prose}",
    ):
        assert read_answer(text, Answer, list_of="facts") == Answer(entries)
