"""Every version of every memory, out of events: the one fold behind history, the `versions` view and as_of.

A clear counts where it covers the memory's scope while the memory is current. What fits nothing changed nothing and is left out: an
UPDATE or DELETE of a memory that is gone, or that belongs to another subject. Only where the beginning of a memory cannot be read
does its history begin later, with `begun` false: the projections do not show such a memory, and as_of neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from memfold.schemas.records import IMPORTED, Clear, Event, Operation, Scope

CLEAR = "clear"


class Version(Struct, frozen=True):
    """One version as one event made it.

    `valid_from` to `valid_to` (None: still) is when it was what the memory said; of a DELETE nothing is, and its text is None.
    Versions of a memory follow each other without gap or overlap, also where the broker's clock went back. `subject` is whose
    memory it is (a clear of the tenant is an event of nobody's), `said` the operation whose words and metadata count, `actor_id`
    who did this one. `happened_at` is when an imported version came to be where it comes from, as far as that is known; None for what
    happened here. `created_at` is the memory's: when the log learnt of it, or when it happened.
    """

    event: Event
    place: str
    subject: str
    memory_id: str
    version: int
    op: str
    text: str | None
    previous: str | None
    scope: Scope
    said: Operation
    actor_id: str | None
    valid_from: datetime
    valid_to: datetime | None
    created_at: datetime | None
    begun: bool
    reason: str | None
    happened_at: datetime | None = None

    def holds(self, moment: datetime) -> bool:
        """Whether this is what the memory said at a moment."""
        return self.begun and self.text is not None and self.valid_from <= moment < (self.valid_to or _NEVER)

    def current(self) -> bool:
        return self.begun and self.text is not None and self.valid_to is None


_NEVER = datetime.max.replace(tzinfo=UTC)


def version_fold(events: Iterable[Event], only: str | None = None) -> list[Version]:
    """The versions that events of one partition made, in log order; of one memory if `only` names it.

    `events` are fenced, in log order: all of a subject and the clears of its tenant, or all that touch the one memory.
    """
    fold = _Fold(only)
    for event in events:
        for ordinal, clear in enumerate(event.body.clears):
            fold.clear(event, ordinal, clear)
        for ordinal, done in enumerate(event.body.operations):
            if only is None or done.memory_id == only:
                fold.operate(event, ordinal, done)
    return fold.versions


@dataclass(slots=True)
class _Fold:
    only: str | None
    versions: list[Version] = field(default_factory=list)
    _last: dict[str, int] = field(default_factory=dict)
    _current: dict[str, None] = field(default_factory=dict)

    def clear(self, event: Event, ordinal: int, clear: Clear) -> None:
        for memory_id in list(self._current):
            before = self.versions[self._last[memory_id]]
            if _same_owner(before, event, clear) and (clear.whole_tenant or clear.scope.covers(before.scope)):
                gone = Operation("DELETE", memory_id, before.version + 1, before.text or "", Scope())
                self._put(event, f"clear {ordinal}", gone, CLEAR)

    def operate(self, event: Event, ordinal: int, done: Operation) -> None:
        at = self._last.get(done.memory_id)
        if done.op not in ("ADD", "UPDATE", "DELETE") or (at is None and done.op == "DELETE"):
            return
        if at is not None:
            before = self.versions[at]
            if done.op != "ADD" and done.memory_id not in self._current:
                return
            if before.subject != event.envelope.subject:
                return
        self._put(event, f"operation {ordinal}", done, event.body.reason or None)

    def _put(self, event: Event, place: str, done: Operation, reason: str | None) -> None:
        memory_id, deleted, at = done.memory_id, done.op == "DELETE", self._last.get(done.memory_id)
        before = None if at is None else self.versions[at]
        held = before if memory_id in self._current else None
        moment = event.recorded_at if before is None else max(event.recorded_at, before.valid_from)
        if held is not None and at is not None:
            self.versions[at] = replace(held, valid_to=moment)
        happened_at = done.said_at if event.body.reason.startswith(IMPORTED) else None
        created_at = (happened_at or moment) if done.op == "ADD" else before.created_at if before else None
        version = Version(
            event=event,
            place=place,
            subject=event.envelope.subject if before is None else before.subject,
            memory_id=memory_id,
            version=done.version if held is None else max(done.version, held.version + 1),
            op=done.op,
            text=None if deleted else done.text,
            previous=held.text if held else done.previous_text,
            scope=held.scope if held and deleted else done.scope,
            said=held.said if held and deleted else done,
            actor_id=done.scope.actor_id,
            valid_from=moment,
            valid_to=None,
            created_at=created_at,
            begun=done.op == "ADD" or (before is not None and before.begun),
            reason=reason,
            happened_at=happened_at,
        )
        self._last[memory_id] = len(self.versions)
        self.versions.append(version)
        if deleted:
            self._current.pop(memory_id, None)
        else:
            self._current[memory_id] = None


def _same_owner(before: Version, event: Event, clear: Clear) -> bool:
    same_tenant = before.event.envelope.tenant == event.envelope.tenant
    return same_tenant and (clear.whole_tenant or before.subject == event.envelope.subject)
