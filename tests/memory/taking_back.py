"""A subject whose commands are answered by events with a place in a log, so that they can be taken back; and random lives in it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from msgspec.structs import replace

from memfold.memory.deciding import decide
from memfold.memory.facts import Candidate, Decision, FoundFact, FoundRelation
from memfold.memory.state import SubjectState
from memfold.memory.understanding import Models
from memfold.schemas.records import (
    AddRequested,
    ClearRequested,
    Command,
    DeleteRequested,
    Envelope,
    Event,
    Item,
    MemoriesDecided,
    MergeRequested,
    Message,
    RelationChange,
    RetryRequested,
    RevokeRequested,
    Scope,
    TakenBack,
    UpdateRequested,
)
from tests.memory.rooms import ALEX, Room

OTHER = Scope(user_id="alex", run_id="r1")
PEOPLE = ["Sarah", "Google", "Oslo", "tea"]


class LoggedRoom(Room):
    """A room that remembers its events with their envelopes; a take-back is decided over them."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []
        self._texts = 0

    async def ask(self, command: Command) -> MemoriesDecided:
        command_id, number = str(uuid.UUID(int=len(self.events) + (4 << 76), version=4)), len(self.events)
        models = Models(self.embedder, self.extractor, self.decider)
        body = await decide(command, command_id, self.now, self.state, models, "", self.events)
        touched = dict.fromkeys(done.memory_id for done in body.operations if done.op != "NONE")
        touched |= dict.fromkeys(change.memory_id for change in body.relations)
        envelope = Envelope(
            f"event {number}", "memories_decided", "acme", "alex", command_id, self.now, b"", "k", b"", number, list(touched)
        )  # fmt: skip
        self.events.append(Event(0, number, self.now, envelope, body))
        return body

    async def revoke(self, *commands: str | TakenBack, reason: str = "poisoned") -> MemoriesDecided:
        taken = [TakenBack(one) if isinstance(one, str) else one for one in commands]
        return await self.ask(RevokeRequested(taken, "revoke", reason, "admin"))

    async def revert(self, memory_id: str) -> MemoriesDecided:
        return await self.ask(
            RevokeRequested([TakenBack(self.last_of(memory_id), memory_id)], "revert", "a slip")
        )

    def last(self) -> str:
        """The id of the last command."""
        return self.events[-1].envelope.command_id

    def last_of(self, memory_id: str) -> str:
        """The command that changed the memory last."""
        return next(
            event.envelope.command_id
            for event in reversed(self.events)
            if any(done.memory_id == memory_id and done.op != "NONE" for done in event.body.operations)
        )

    async def tell(
        self, text: str, *relations: FoundRelation, op: str = "ADD", memory_id: str | None = None
    ) -> MemoriesDecided:
        """One fact, and what a model decides about it."""
        self.extractor.facts = [FoundFact(text, relations=list(relations))]

        def script(candidates: Sequence[Candidate]) -> list[Decision]:
            return [Decision(op, 0, candidates[0].fact.text, memory_id)]

        self.decider.script = script
        return await self.say(text)

    def folded_from_events(self) -> SubjectState:
        """The state that follows from the events alone."""
        return folded(self.events)

    def text(self) -> str:
        """One that was never said before."""
        self._texts += 1
        return f"fact number {self._texts}"


def seen(state: SubjectState) -> dict[str, Any]:
    """What is known, without what tells how it came to be: versions and ids of assertions."""
    return {
        known.memory_id: (
            known.text, known.scope, known.metadata, known.role, known.vector, known.pending, known.said_at, known.said,
            sorted(plain(one) for one in known.relations),
        )
        for known in state.memories.values()
    }  # fmt: skip


def plain(one: RelationChange) -> tuple[str, ...]:
    return one.source, one.relationship, one.target, one.source_entity, one.target_entity, str(one.valid_from)


def folded(events: Iterable[Event]) -> SubjectState:
    state = SubjectState()
    for event in events:
        state.fold(event.body)
    return state


def without(events: Iterable[Event], revoked: set[str]) -> SubjectState:
    """The fold of the history without these commands, and without what took them back.

    A relation that a take-back brought back has another id since, by which later events name it: there it is the first one.
    """
    first: dict[str, str] = {}
    kept: list[Event] = []
    for event in events:
        if event.body.taken_back:
            back = [one for one in event.body.relations if one.restores]
            first |= {one.assertion_id: first.get(one.restores, one.restores) for one in back}
        elif event.envelope.command_id not in revoked:
            relations = [
                replace(one, assertion_id=first.get(one.assertion_id, one.assertion_id))
                for one in event.body.relations
            ]
            kept.append(replace(event, body=replace(event.body, relations=relations)))
    return folded(kept)


async def live(room: LoggedRoom, random: Random, *, taking_back: bool) -> None:
    """One random command."""
    memories = list(room.state.memories)
    kinds = [
        "as said",
        "add",
        "update",
        "delete",
        "by hand",
        "by hand delete",
        "clear",
        "end",
        "merge",
        "fail",
        "retry",
    ]
    kind = random.choice([*kinds, *(["revert", "revoke"] if taking_back else [])])
    relation = FoundRelation(random.choice(PEOPLE), "KNOWS", random.choice(PEOPLE))
    if kind == "as said" or not memories:
        await room.say(room.text(), infer=False, scope=random.choice([ALEX, ALEX, OTHER]))
    elif kind in ("add", "update", "delete", "end"):
        ends = [FoundRelation(relation.source, "KNOWS", relation.target, ends=True)]
        op = {"add": "ADD", "end": "ADD"}.get(kind, kind.upper())
        near = await _near(room, op, random)
        await room.tell(
            room.text(), *(ends if kind == "end" else [relation]), op=op if near else "ADD", memory_id=near
        )
    elif kind == "by hand":
        room.extractor.facts = [FoundFact("by hand", relations=[relation])]
        await room.ask(UpdateRequested(random.choice(memories), room.text()))
    elif kind == "by hand delete":
        await room.ask(DeleteRequested(random.choice(memories)))
    elif kind == "clear" and random.random() < 0.3:
        await room.ask(ClearRequested(random.choice([ALEX, OTHER])))
    elif kind == "merge":
        await room.ask(MergeRequested(*random.sample(PEOPLE, 2)))
    elif kind == "fail":
        room.extractor.down = True
        await room.say(room.text())
        room.extractor.down = False
    elif kind == "retry":
        room.extractor.facts, room.decider.script = None, None
        await room.ask(RetryRequested(ALEX))
    elif kind == "revert":
        await room.revert(random.choice(memories))
    elif kind == "revoke":
        await room.revoke(random.choice(room.events).envelope.command_id)


async def _near(room: LoggedRoom, op: str, random: Random) -> str | None:
    """A memory that a model will be shown and may name; only those are."""
    if op == "ADD":
        return None
    (row,) = await room.embedder.embed([f"fact number {room._texts + 1}"])
    near = room.state.nearest(row[None, :], ALEX, 5)[0]
    return random.choice(near)[0].memory_id if near else None


def items(text: str) -> list[Item]:
    return [Item([Message("user", text)])]


def added(body: MemoriesDecided) -> str:
    """The memory that an event added."""
    return next(done.memory_id for done in body.operations if done.op == "ADD")


def add(text: str) -> AddRequested:
    return AddRequested(ALEX, items(text), False)
