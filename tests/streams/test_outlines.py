"""What is decided by the outline of a subject that was put out of memory is what its state would have decided."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from memfold.memory.deciding import decide
from memfold.memory.outline import Outline
from memfold.memory.ports import MemoryRow
from memfold.memory.state import Known, SubjectState
from memfold.memory.understanding import Models
from memfold.schemas.records import (
    AddRequested,
    ClearRequested,
    Command,
    DeleteRequested,
    Item,
    MemoriesDecided,
    Message,
    Scope,
    UpdateRequested,
)
from memfold.streams.states import States
from tests.memory.models import HashEmbedder, ScriptedDecider, SentenceExtractor
from tests.memory.rooms import NOW

SUBJECTS = ("alex", "bob", "carl")
SAID = ("I like tea", "i like  TEA!", "I like coffee", "Hm", "I moved to Oslo")


class Projection:
    """The vector projection's current rows, of the events that were appended."""

    def __init__(self) -> None:
        self.states = {subject: SubjectState() for subject in SUBJECTS}
        self.at, self.loads, self.looks = -1, 0, 0

    def append(self, subject: str, body: MemoriesDecided) -> int:
        for owner, state in self.states.items():
            if owner == subject or any(clear.whole_tenant for clear in body.clears):
                state.fold(body)
        self.at += 1
        return self.at

    async def position(self, partition: int) -> int:
        return self.at

    async def texts(self, tenant: str, subject: str) -> list[tuple[str, Scope]]:
        self.looks += 1
        return [(known.text, known.scope) for known in self.states[subject].memories.values()]

    async def current(self, tenant: str, subject: str, *_: object) -> list[MemoryRow]:
        self.loads += 1
        return [_row(subject, known) for known in self.states[subject].memories.values()]


def _row(subject: str, known: Known) -> MemoryRow:
    row = MemoryRow("t", subject, known.memory_id, known.version, known.text, known.scope, NOW, NOW, NOW)
    return replace(row, role=known.role, said=known.said, said_count=known.said_count, vector=known.vector)


class Partition:
    """Decides as `decide` does, one command after the other, with room for few memories."""

    def __init__(self, limit: int, outlined: int, by_states: bool = False) -> None:
        self._by_states = by_states
        self.projection = Projection()
        self.states = States(0, self.projection, -1, limit, outlined)  # type: ignore[arg-type]
        self.models = Models(HashEmbedder(), SentenceExtractor(), ScriptedDecider())
        self.by_outline = 0

    async def ask(self, subject: str, command: Command, number: int) -> MemoriesDecided:
        self.states.admitted("t", subject)
        command_id = str(uuid.UUID(int=number))
        if not self._by_states and await self.states.outline_suffices("t", subject, command):
            self.by_outline += 1
            body = await decide(command, command_id, NOW, SubjectState(), self.models)
            self.states.outlined("t", subject, body)
        else:
            state = await self.states.of("t", subject, "hash-8")
            # It need not last, and does not where a state is put out.
            state.forget_heard()
            body = await decide(command, command_id, NOW, state, self.models)
        if isinstance(command, ClearRequested) and command.whole_tenant:
            self.states.fold_whole_tenant("t", body)
        return body

    def appended(self, subject: str, body: MemoriesDecided) -> None:
        offset = self.projection.append(subject, body)
        self.states.appended("t", subject, offset)
        if body.clears:
            self.states.raise_floor(offset)
        self.states.shrink()


def said(subject: str, *texts: str, infer: bool = False, name: str | None = None) -> AddRequested:
    items = [Item([Message("user", text, name)]) for text in texts]
    return AddRequested(Scope(user_id=subject), items, infer)


commands = st.one_of(
    st.builds(
        lambda texts, infer, name: lambda subject, _: said(subject, *texts, infer=infer, name=name),
        st.lists(st.sampled_from(SAID), min_size=1, max_size=3),
        st.sampled_from([False, False, False, True]),
        st.sampled_from([None, "Kim"]),
    ),
    st.just(lambda _, known: DeleteRequested(next(iter(known), "none"))),
    st.just(lambda _, known: UpdateRequested(next(iter(known), "none"), "I like coffee")),
    st.builds(lambda whole: lambda subject, _: ClearRequested(Scope(user_id=subject), whole), st.booleans()),
)


@example(
    [
        ("bob", lambda subject, _: said(subject, "Hm", name="Kim")),
        ("bob", lambda subject, _: said(subject, "Hm", infer=True, name="Kim")),
        ("alex", lambda *_: DeleteRequested("none")),
        ("bob", lambda subject, _: said(subject, "Hm", infer=True, name="Kim")),
    ],
    1,
    1,
)
@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(SUBJECTS), commands), max_size=25),
    st.integers(1, 6),
    st.integers(1, 9),
)
def test_the_outline_decides_as_the_state_does(
    asked: list[tuple[str, Any]], limit: int, outlined: int
) -> None:
    async def run() -> None:
        small, large = Partition(limit, outlined), Partition(1_000_000, 1_000_000, by_states=True)
        for number, (subject, made) in enumerate(asked):
            command = made(subject, large.projection.states[subject].memories)
            bodies = [await one.ask(subject, command, number) for one in (small, large)]
            assert bodies[0] == bodies[1]
            for one, body in zip((small, large), bodies, strict=True):
                one.appended(subject, body)
        assert large.by_outline == 0

    asyncio.run(run())


async def test_new_things_said_are_decided_without_loading_anything() -> None:
    partition = Partition(limit=4, outlined=1_000)
    for number in range(60):
        subject = SUBJECTS[number % 3]
        partition.appended(
            subject, await partition.ask(subject, said(subject, f"fact {number} is kept"), number)
        )
    assert (partition.projection.loads, partition.projection.looks) == (0, len(SUBJECTS))
    assert partition.by_outline == 60
    again = await partition.ask("alex", said("alex", "Fact 0 is kept!"), 60)
    assert [done.op for done in again.operations] == ["NONE"]
    assert partition.projection.loads == 1


async def test_a_state_is_not_loaded_before_what_its_outline_decided_is_in_the_log() -> None:
    partition = Partition(limit=2, outlined=1_000)
    for number, subject in enumerate(("alex", "bob", "carl")):
        partition.appended(
            subject, await partition.ask(subject, said(subject, f"fact {number} is kept"), number)
        )
    waiting = await partition.ask("alex", said("alex", "I like tea"), 3)
    assert partition.by_outline == 4
    repeat = asyncio.create_task(partition.ask("alex", said("alex", "I like tea"), 4))
    done, _ = await asyncio.wait([repeat], timeout=0.1)
    assert not done
    partition.appended("alex", waiting)
    assert [one.op for one in (await repeat).operations] == ["NONE"]


def test_an_outline_says_no_to_what_needs_the_state() -> None:
    outline = Outline.of(SubjectState())
    assert outline.suffices(said("alex", "anything"))
    assert not outline.suffices(said("alex", "anything", infer=True))
    assert not outline.suffices(DeleteRequested("m"))
