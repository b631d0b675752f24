"""From rows that may matter to a memory to the opened events that do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from memfold.audit.seen import Mark
from memfold.audit.snapshot import Snapshot
from memfold.schemas.errors import KeyDestroyed, UnknownKey, Unreadable
from memfold.schemas.opening import Keys, open_event
from memfold.schemas.records import Event


@dataclass(slots=True)
class Opened:
    """What became of the marked rows of one partition; `events` are genuine, in offset order, not fenced yet."""

    events: list[Event] = field(default_factory=list)
    erased: int = 0
    unreadable: int = 0
    unknown_key: UnknownKey | None = None


class Touching:
    """Opens marked rows. Remembers which clears are of one subject only, so that no other subject's history opens them again."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._narrow: set[tuple[int, int]] = set()

    def open(self, snapshot: Snapshot, marks: Sequence[Mark], tenant: str, memory_id: str) -> Opened:
        """The events among the marks of one partition that name the memory, or that may clear it after it was first named."""
        opened = Opened()
        named = [mark for mark in marks if mark.named]
        if not named:
            return opened
        own = {mark.subject for mark in named}
        wanted = {mark.offset: mark for mark in marks if mark.named or self._may_clear(mark, named[0], own)}
        for record in snapshot.records(marks[0].partition, list(wanted)):
            mark = wanted[record.offset]
            try:
                event = open_event(record, self._keys)
            except KeyDestroyed:
                if mark.subject in own:
                    opened.erased += 1
                else:
                    self._narrow.add((mark.partition, mark.offset))
            except Unreadable:
                opened.unreadable += 1
            except UnknownKey as unknown:
                opened.unreadable, opened.unknown_key = opened.unreadable + 1, unknown
            else:
                self._sort(event, mark, tenant, memory_id, opened)
        return opened

    def _may_clear(self, mark: Mark, first: Mark, own: set[str]) -> bool:
        if mark.offset < first.offset:
            return False
        return mark.subject in own or (mark.partition, mark.offset) not in self._narrow

    def _sort(self, event: Event, mark: Mark, tenant: str, memory_id: str, opened: Opened) -> None:
        """The columns were read to find the row; the opened envelope decides."""
        whole_tenant = any(clear.whole_tenant for clear in event.body.clears)
        if not whole_tenant:
            self._narrow.add((mark.partition, mark.offset))
        if event.envelope.tenant != tenant:
            opened.unreadable += 1
        elif memory_id in event.envelope.memory_ids:
            opened.events.append(event)
        elif mark.named:
            opened.unreadable += 1
        elif whole_tenant or any(event.envelope.subject == known.envelope.subject for known in opened.events):
            opened.events.append(event)
