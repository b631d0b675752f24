"""Which records are a watch's, and what is told of each: the scope is checked on what was opened, never on what a record claims."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

from memfold.memory.changed import Around, Change, Cleared, changes, erased, wants
from memfold.memory.filters import Condition, conjuncts
from memfold.memory.ports import SubjectDirectory
from memfold.memory.reach import Reach
from memfold.memory.watching import WatchedLog
from memfold.schemas.codec import decode_envelope
from memfold.schemas.errors import KeyDestroyed, ReaderTooOld, UnknownKey, Unreadable
from memfold.schemas.opening import open_event
from memfold.schemas.partitions import CLEARS, partition_of
from memfold.schemas.records import Envelope, Event, LogRecord


class Directory(SubjectDirectory, Protocol):
    """Who is who, and their keys."""

    def key(self, key_id: str) -> bytes: ...


class Watched:
    """The changes of one scope. `fences`: of each partition the highest command offset that counts so far."""

    def __init__(self, tenant: str, reach: Reach, directory: Directory, log: WatchedLog) -> None:
        self._tenant, self._reach, self._directory, self._log = tenant, reach, directory, log
        self._known: dict[str, str] = {}
        self.fences: dict[int, int] = {}

    def subjects(self) -> set[str] | None:
        """Whose the memories are, as far as they are known yet; None: an agent's or a run's may be anybody's.

        Who was known once stays known: of somebody who is erased meanwhile it can be told that he was.
        """
        if self._reach.users is None:
            return None
        for user in self._reach.users:
            if user not in self._known:
                subject = self._directory.known_subject(self._tenant, "user", user)
                if subject is not None:
                    self._known[user] = subject
        return set(self._known.values())

    def partitions(self) -> list[int]:
        """Where changes can come. A user who is not known yet may come to be in any."""
        subjects = self.subjects()
        if self._reach.users is None or subjects is None or len(subjects) < len(self._reach.users):
            return list(range(self._log.partitions))
        return sorted({partition_of(self._tenant, subject, self._log.partitions) for subject in subjects})

    async def changes(self, record: LogRecord) -> list[Change]:
        """All changes of a record, those that do not pass too. Raises ReaderTooOld, and what a look into the past raises."""
        opened = self._opened(record)
        if opened is None:
            return []
        if isinstance(opened, Envelope):
            return self._erased(opened, record)
        found = [*changes(opened, self._reach.tree, await self._around(opened), await self._cleared(opened))]
        self.fences[record.partition] = opened.envelope.command_offset
        return found

    def _opened(self, record: LogRecord) -> Event | Envelope | None:
        """The event, if it may be about this scope and counts; its envelope alone, if it was erased."""
        try:
            envelope, _, _ = decode_envelope(record.value)
        except Unreadable:
            return None
        if envelope.tenant != self._tenant or not self._may_touch(envelope):
            return None
        if envelope.command_offset <= self.fences.get(record.partition, -1):
            return None
        try:
            return open_event(record, self._directory)
        except KeyDestroyed:
            return envelope
        except ReaderTooOld:
            raise
        except (Unreadable, UnknownKey):
            return None

    def _may_touch(self, envelope: Envelope) -> bool:
        subjects = self.subjects()
        return subjects is None or envelope.subject in subjects or CLEARS in envelope.memory_ids

    async def _around(self, event: Event) -> dict[str, Around]:
        wanted = wants(event, self._reach.tree)
        return await self._log.around(event, wanted) if wanted else {}

    async def _cleared(self, event: Event) -> Cleared:
        """A clear of somebody else, which only its mark let through, took nothing here."""
        clears = event.body.clears
        if not clears:
            return Cleared()
        subjects = self.subjects()
        if not any(clear.whole_tenant for clear in clears):
            if subjects is not None and event.envelope.subject not in subjects:
                return Cleared()
            subjects = {event.envelope.subject}
        return await self._log.cleared(event, subjects)

    def _erased(self, envelope: Envelope, record: LogRecord) -> list[Change]:
        """Where nobody can tell any more whether it was of this scope, it is told that there was something, and no id."""
        subjects, own = self.subjects(), self._own()
        if subjects is not None and envelope.subject not in subjects:
            return []
        sure = own is not None and envelope.subject in own
        at = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC).isoformat()
        return [erased(envelope.subject, at, [one for one in envelope.memory_ids if sure and one != CLEARS])]

    def _own(self) -> set[str] | None:
        """The subjects that are in this scope with all that is theirs; None where the filter asks for more than whose it is."""
        parts = list(conjuncts(self._reach.tree))
        asked = {
            part.field for part in parts if isinstance(part, Condition) and part.operator in ("eq", "in")
        }
        if len(asked) != 1 or not all(isinstance(part, Condition) and part.field in asked for part in parts):
            return None
        (kind,) = asked
        if kind == "user_id":
            return self.subjects()
        named = self._reach.agents if kind == "agent_id" else self._reach.runs
        known = (self._directory.known_subject(self._tenant, kind[:-3], name) for name in named or ())
        return {subject for subject in known if subject is not None}
