"""Each part of a score says what its name says, and the score what the parts come to."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from memfold.memory.corpus import Corpus, corpus_of
from memfold.memory.errors import InvalidInput
from memfold.memory.ports import MemoryRow, Vectors
from memfold.memory.questions import HOP, Question
from memfold.memory.ranking import Part, Ranked, best, parts_of
from memfold.memory.weights import Weights
from memfold.schemas.records import RelationChange, Scope

START = datetime(2026, 3, 3, 12, tzinfo=UTC)
ASKED = date(2026, 11, 25)
NORTH = np.array([1, 0, 0, 0], dtype=np.float32)


def vector(*values: float) -> bytes:
    return np.array(values, dtype="<f2").tobytes()


def row(number: int, text: str, **fields: Any) -> MemoryRow:
    when = fields.pop("when_told", START + timedelta(minutes=number))
    base: dict[str, Any] = {
        "tenant": "t",
        "subject": "s",
        "memory_id": f"m{number}",
        "version": 1,
        "text": text,
    }
    base |= {
        "scope": Scope("alex"),
        "created_at": when,
        "updated_at": when,
        "valid_from": when,
        "role": "user",
    }
    base |= {"added_offset": number, "vector": vector(0, 1, 0, 0)}
    return MemoryRow(**(base | fields))


def parts(
    rows: list[MemoryRow], question: str, asked: Vectors = NORTH
) -> tuple[Corpus, dict[str, dict[str, float]]]:
    """The corpus, and each part by memory."""
    corpus = corpus_of(rows, {})
    found = parts_of(Question.read(question, corpus, ASKED), asked, corpus)
    ids = [one.memory_id for one in corpus.rows]
    return corpus, {name: dict(zip(ids, map(float, part), strict=True)) for name, part in found.items()}


def test_a_memory_without_a_vector_is_found_by_its_words() -> None:
    rows = [row(0, "The harbour is closed", vector=b""), row(1, "We ate soup")]
    _, found = parts(rows, "Is the harbour closed?")
    assert found["meaning"]["m0"] == 0
    assert found["words"]["m0"] > 0.5 > found["words"]["m1"] == 0


def test_a_question_embedded_by_another_model_says_how_to_migrate() -> None:
    corpus = corpus_of([row(0, "text")], {})
    with pytest.raises(InvalidInput, match="replay rebuild"):
        corpus.meaning(np.ones(7, dtype=np.float32))
    assert corpus_of([row(0, "text", vector=b"")], {}).meaning(NORTH).tolist() == [0]
    assert corpus_of([], {}).meaning(NORTH).shape == (0,)


@pytest.mark.parametrize("form", ["labels", "names"])
def test_who_said_it_counts_when_one_is_named(form: str) -> None:
    told = [("Caroline", "I paint"), ("Mel", "I run"), ("Caroline", "I sing"), ("Mel", "I cook")]
    rows = [
        row(n, f"{name}: {text}") if form == "labels" else row(n, text, scope=Scope("alex", actor_id=name))
        for n, (name, text) in enumerate(told)
    ]
    _, one = parts(rows, "What does Caroline do?")
    assert one["speaker"] == {"m0": 1, "m1": 0, "m2": 1, "m3": 0}
    _, both = parts(rows, "What do Caroline and Mel do?")
    assert set(both["speaker"].values()) == {0}
    corpus = corpus_of(rows, {})
    assert Question.read("What does Caroline's choir sing?", corpus, ASKED).bare == "What does choir sing?"


def test_labels_that_do_not_repeat_are_no_speakers() -> None:
    corpus = corpus_of([row(0, "Diet: vegetarian"), row(1, "Allergy: peanuts"), row(2, "I run")], {})
    assert corpus.speakers == []


def test_an_answer_is_near_its_question_and_a_pause_ends_a_conversation() -> None:
    late = START + timedelta(days=1)
    rows = [
        row(0, "Which harbour do you like?", role="assistant"),
        row(1, "The old one"),
        row(2, "The other one", when_told=late),
    ]
    _, found = parts(rows, "the harbour")
    assert found["nearby"]["m1"] > found["nearby"]["m2"] == 0
    _, apart = parts(
        [row(0, "Which harbour do you like?"), row(1, "The old one", when_told=late)], "the harbour"
    )
    assert apart["nearby"]["m1"] == 0
    assert found["conversation"]["m1"] > found["conversation"]["m2"] == 0
    # The same in one voice: facts told in one go.
    _, alone = parts([row(0, "I like the harbour"), row(1, "The old one")], "the harbour")
    assert 0 < alone["nearby"]["m1"] < found["nearby"]["m1"]


def test_runs_are_conversations_of_their_own() -> None:
    rows = [
        row(0, "the harbour", scope=Scope("alex", run_id="a")),
        row(1, "yes", scope=Scope("alex", run_id="b")),
    ]
    corpus, _ = parts(rows, "x")
    assert corpus.conversations.tolist() == [0, 1]


def test_memories_keep_the_order_in_which_they_came() -> None:
    same = {"when_told": START}
    rows = [
        row(3, "c", **same),
        row(1, "a", ordinal=0, added_offset=7, **same),
        row(2, "b", ordinal=1, added_offset=7, **same),
    ]
    corpus, _ = parts(rows, "x")
    assert [one.text for one in corpus.rows] == ["c", "a", "b"]


def test_evidence_of_what_is_named_and_one_relation_farther() -> None:
    def change(number: int, source: str, name: str, target: str) -> list[RelationChange]:
        return [RelationChange("ASSERT", f"a{number}", f"m{number}", source, name, target)]

    rows = [
        row(0, "She has a new job", relations=change(0, "Sarah", "WORKS_AT", "Google")),
        row(1, "That firm moved", relations=change(1, "Google", "LOCATED_IN", "Zurich")),
        row(2, "I like tea", relations=change(2, "alex", "LIKES", "tea")),
    ]
    _, found = parts(rows, "What about Sarah?")
    assert found["graph"]["m0"] == 1
    # Google is in two of three memories.
    assert found["graph"]["m1"] == pytest.approx(HOP * (1 - np.log(2) / np.log(3)))
    assert found["graph"]["m2"] == 0


def test_what_everything_is_tied_to_says_nothing() -> None:
    rows = [
        row(n, "x", relations=[RelationChange("ASSERT", f"a{n}", f"m{n}", "alex", "LIKES", f"thing {n}")])
        for n in range(4)
    ]
    _, found = parts(rows, "What does alex like?")
    assert set(found["graph"].values()) == {0}


def test_the_time_that_is_named_and_the_time_told_of() -> None:
    rows = [row(0, "in spring"), row(1, "the trip", when="2025-06-10"), row(2, "(08 June 2025) a day at sea")]
    _, found = parts(rows, "What happened in June 2025?")
    assert found["time"] == {"m0": 0, "m1": 1, "m2": 1}


def ranked(
    found: dict[str, Part], inside: list[bool], limit: int = 10, threshold: float = 0.0
) -> list[Ranked]:
    return best(found, Weights(), np.array(inside), limit, threshold)


def column(*values: float) -> Part:
    return np.array(values, dtype=np.float32)


def test_what_is_outside_is_no_candidate_however_good() -> None:
    found = {"meaning": column(1, 0.5, 0.4, 0.3)}
    assert [one.place for one in ranked(found, [False, True, True, True], limit=2)] == [1, 2]


def test_a_score_is_what_its_parts_come_to() -> None:
    (one, other) = ranked({"meaning": column(0.7, 0.1), "substance": column(0, 1)}, [True, True])
    assert one.score == pytest.approx(1 - np.exp(-sum(one.parts.values())))
    assert one.parts == {"meaning": pytest.approx(0.63)}
    assert set(other.parts) == {"meaning", "substance"}
    assert 0 < other.score < 1


def test_a_threshold_asks_for_more_than_length_and_newness() -> None:
    found = {"meaning": column(0.3, 0), "substance": column(0.1, 1), "recency": column(0, 1)}
    assert [one.place for one in ranked(found, [True, True])] == [1, 0]
    passing = ranked(found, [True, True], threshold=0.1)
    assert [one.place for one in passing] == [0]
    assert all(one.score >= 0.1 for one in passing)


def test_equal_scores_keep_the_order_of_the_corpus() -> None:
    assert [one.place for one in ranked({"meaning": column(0.5, 0.5, 0.5)}, [True] * 3)] == [0, 1, 2]
