"""Two folds of one subject's events side by side: what came to be, and what would be if the revoked commands had not been asked.

An innocent command was decided by what was there when it was asked. It rests on what was revoked where the two folds differ at its
turn, and only there. A text that was written over such a version stays and is marked; what else was judged by one is told as a
review. What takes back changes only the first fold: the second is always made of what was asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from memfold.memory.review_mark import marked_with, review_of
from memfold.memory.revoked import Revoked
from memfold.schemas.records import Clear, Event, MemoriesDecided, Operation, RelationChange, Review


@dataclass(frozen=True, slots=True)
class Version:
    """What a memory says, and whose words these are: `origin` is the command that wrote them, whoever brought them back."""

    origin: str
    done: Operation
    embedder: str
    review: str = ""
    """Why somebody should look at it; empty: nothing is to be looked at."""

    def same(self, other: Version | None) -> bool:
        return other is not None and (self.origin, self.review) == (other.origin, other.review)


@dataclass(slots=True)
class Life:
    """One memory: as it `is`, None while it is out of view, and as it `should` be. Relations by the assertion they began as."""

    memory_id: str
    number: int = 0
    """Of the last version, whatever it said."""
    real: Version | None = None
    should: Version | None = None
    holds: dict[str, RelationChange] = field(default_factory=dict)
    should_hold: dict[str, RelationChange] = field(default_factory=dict)

    def differs(self) -> bool:
        """Whether who looks at it sees other words than it should say."""
        return (self.real and self.real.origin) != (self.should and self.should.origin)


class Lives:
    """Folds the events of one subject, and what cleared its tenant, in log order; fenced."""

    def __init__(self, events: Iterable[Event], revoked: Revoked) -> None:
        self.of: dict[str, Life] = {}
        self.reviews: list[Review] = []
        self._revoked = revoked
        self._roots: dict[str, str] = {}
        for event in events:
            if event.body.taken_back:
                self._bring_back(event)
            else:
                self._apply(event)

    def _bring_back(self, event: Event) -> None:
        body = event.body
        for done in body.operations:
            life = self.of.get(done.memory_id)
            if life is None or done.op == "NONE":
                continue
            life.number = done.version
            gone = done.op == "DELETE"
            life.real = None if gone else _version(done, done.restores, body)
        for change in body.relations:
            life = self.of.get(change.memory_id)
            root = self._root(change)
            if life is not None and change.op == "ASSERT":
                life.holds[root] = change
            elif life is not None:
                life.holds.pop(root, None)

    def _apply(self, event: Event) -> None:
        body, command_id = event.body, event.envelope.command_id
        if not self._revoked(command_id):
            self._tell_what_was_seen(body, command_id)
        for clear in body.clears:
            self._clear(clear, command_id)
        fallen = self._fallen_items(body, command_id)
        kept: set[str] = set()
        for done in body.operations:
            life = self.of.setdefault(done.memory_id, Life(done.memory_id))
            counts = not self._revoked(command_id, done.memory_id) and not _fell(done, fallen)
            self._operate(life, done, event, counts)
            if counts:
                kept.add(done.memory_id)
        all_fell = bool(fallen) and all(_fell(done, fallen) for done in body.operations)
        for change in body.relations:
            named = any(done.memory_id == change.memory_id for done in body.operations)
            fell = change.memory_id not in kept if named else all_fell
            self._relate(change, command_id, not self._revoked(command_id, change.memory_id) and not fell)

    def _tell_what_was_seen(self, body: MemoriesDecided, command_id: str) -> None:
        """Decisions that had in view what should not have been there, or not like that."""
        shown = {memory_id for call in body.calls for memory_id in call.shown}
        known = {done.memory_id for done in body.operations if done.op == "NONE"}
        for memory_id in sorted(shown | known):
            life = self.of.get(memory_id)
            if life is not None and life.real is not None and life.differs():
                what = (
                    "judged to say nothing new beside it" if memory_id in known else "decided with it in view"
                )
                self._review(life, command_id, what)

    def _review(self, life: Life, command_id: str, why: str) -> None:
        self.reviews.append(Review(life.memory_id, command_id, why))

    def _clear(self, clear: Clear, command_id: str) -> None:
        for life in self.of.values():
            if life.real and (clear.whole_tenant or clear.scope.covers(life.real.done.scope)):
                life.number += 1
                life.real = None
                life.holds.clear()
            covered = life.should and (clear.whole_tenant or clear.scope.covers(life.should.done.scope))
            if covered and not self._revoked(command_id, life.memory_id):
                life.should = None
                life.should_hold.clear()

    def _fallen_items(self, body: MemoriesDecided, command_id: str) -> set[int]:
        """Of a retry, the items whose message is taken back: what it found in them is that message's own, and goes with it."""
        if any(done.said for done in body.operations):
            return set()
        fallen: set[int] = set()
        for done in body.operations:
            life = self.of.get(done.memory_id)
            pending = life is not None and life.real is not None and life.real.done.pending
            if life is not None and pending and _of_a_retry(done) and life.should is None:
                fallen.add(done.item)
        return fallen

    def _operate(self, life: Life, done: Operation, event: Event, counts: bool) -> None:
        fits = life.real is None if done.op == "ADD" else life.real is not None
        if done.op == "NONE" or not fits:
            return
        body, command_id, tainted = event.body, event.envelope.command_id, life.differs()
        before, life.number = life.real, done.version
        if done.op == "DELETE":
            life.real = None
            life.holds.clear()
            if counts:
                if tainted and life.should is not None:
                    self._review(life, command_id, "took it out of view as it stood then")
                life.should = None
                life.should_hold.clear()
            return
        life.real = _version(done, command_id, body)
        if not counts:
            return
        review = self._mark(life, before, done, tainted, command_id)
        if tainted:
            # Its own words tell what holds now: what it could not see must not come back under them.
            life.should_hold = {root: one for root, one in life.should_hold.items() if root in life.holds}
        life.should = _version(done, command_id, body, review)

    def _mark(
        self, life: Life, before: Version | None, done: Operation, tainted: bool, command_id: str
    ) -> str:
        """A mark stays until somebody who could see it writes over it by hand."""
        if tainted and before is not None:
            self._review(life, command_id, "written over it; the text stays as it is")
            return f"written over a version of command {before.origin}, which was taken back"
        carried = life.should.review if life.should else ""
        return "" if done.fact < 0 and before is not None and before.review else carried

    def _relate(self, change: RelationChange, command_id: str, counts: bool) -> None:
        life, root = self.of.get(change.memory_id), self._root(change)
        if life is None:
            return
        if change.op == "RETRACT":
            life.holds.pop(root, None)
            if counts:
                life.should_hold.pop(root, None)
        elif life.real is not None:
            life.holds[root] = change
            if counts and life.differs():
                self._review(life, command_id, "moved a relation that rests on it")
            elif counts:
                life.should_hold[root] = change

    def _root(self, change: RelationChange) -> str:
        """The assertion that this one once was: what brings a relation back gives it a new id."""
        if change.op == "ASSERT" and change.restores:
            self._roots[change.assertion_id] = self._roots.get(change.restores, change.restores)
        return self._roots.get(change.assertion_id, change.assertion_id)


def _version(done: Operation, origin: str, body: MemoriesDecided, review: str | None = None) -> Version:
    found = review_of(done.metadata) if review is None else review
    return Version(origin, marked_with(done, found), body.embedder, found)


def _of_a_retry(done: Operation) -> bool:
    return done.op == "DELETE" or (done.op == "UPDATE" and done.fact >= 0)


def _fell(done: Operation, items: set[int]) -> bool:
    return done.item in items and (done.fact >= 0 or done.op in ("DELETE", "NONE"))
