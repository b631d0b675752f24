"""Reads are events: whoever asks for memories leaves one for each subject whose memories came back, or were asked for.

Not promised: that nobody reads past these verbs. Whoever may open the projections' files or has the key store reads unseen.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from contextvars import Token
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Protocol

from msgspec import Struct

from memfold.memory.errors import InvalidInput, InvalidType, ReadDenied
from memfold.memory.moments import checked_moment
from memfold.memory.noting import Noted, begin, end
from memfold.memory.ports import MemoryIndex, SubjectDirectory
from memfold.memory.readers import Reader, reader
from memfold.schemas.partitions import CLEARS
from memfold.schemas.records import MemoryRead

MOST_NAMED = 10_000
"""Memories that one event names; of more it says '*'."""


class Read(Struct, frozen=True):
    """One call: what is to be recorded of it, and of each subject which memories came back."""

    memory_ids: Mapping[str, list[str]]
    body: MemoryRead


class ReadLog(Protocol):
    """Where reads are recorded. `strict`: nothing may be given before its read is recorded."""

    @property
    def strict(self) -> bool: ...

    async def record(self, read: Read) -> None:
        """Raises ReadNotRecorded where nothing may be answered without it; else what is lost is counted."""
        ...


class Asked(Struct, frozen=True):
    """What a call asks: its verb, the text or id asked for, whose (user, agent, run), and as of when."""

    verb: str
    query: object = None
    ids: tuple[object, ...] = (None, None, None)
    as_of: object = None


@dataclass(frozen=True, slots=True)
class Reads:
    """The reads of one tenant. Without a log nothing is recorded; `purposes` are those allowed, none: any."""

    tenant: str
    log: ReadLog | None = None
    subjects: SubjectDirectory | None = None
    index: MemoryIndex | None = None
    client: Reader = field(default_factory=Reader)
    purposes: tuple[str, ...] = ()
    key: bytes = field(default=b"", repr=False)

    def going_on(self, asked: Asked) -> Going:
        return Going(self, asked)

    def admit(self) -> None:
        """Raises ReadDenied."""
        purpose = reader(self.client).purpose
        if self.purposes and purpose not in self.purposes:
            said = "no purpose was given" if purpose is None else f"the purpose {purpose!r} is not allowed"
            raise ReadDenied(
                f"{said}; nothing was read. Allowed here: {', '.join(self.purposes)}. "
                "Pass one: `with memory.reading(purpose=...)`, or MEMFOLD_AUDIT__PURPOSE"
            )

    def hash_of(self, query: object) -> bytes:
        """The keyed hash of the text or id that a call asks for; empty for none."""
        if not isinstance(query, str):
            return b""
        return hmac.digest(self.key, query.encode("utf-8", "surrogatepass"), hashlib.sha256)

    async def whose(self, noted: Noted, ids: tuple[object, ...]) -> dict[str, list[str]]:
        """What was noted, by subject. What has no known one is its owner's of today, else of the one who was asked for."""
        found = {subject: set(ids) for subject, ids in noted.memory_ids.items() if subject is not None}
        known = {memory_id for ids in found.values() for memory_id in ids}
        homeless = noted.memory_ids.get(None, set()) - known
        if homeless and self.index is not None:
            for row in await self.index.find(self.tenant, sorted(homeless)):
                found.setdefault(row.subject, set()).add(row.memory_id)
                homeless.discard(row.memory_id)
        if homeless or not found:
            found.setdefault(self._asked_for(ids), set()).update(homeless)
        return {subject: _named(ids) for subject, ids in found.items()}

    def _asked_for(self, ids: tuple[object, ...]) -> str:
        """The subject that a call names; the tenant itself where there is none yet: a read makes nobody known."""
        assert self.subjects is not None
        for kind, name in zip(("user", "agent", "run"), ids, strict=True):
            if isinstance(name, str):
                known = self.subjects.known_subject(self.tenant, kind, name)
                if known is not None:
                    return known
                break
        return self.subjects.subject_of(self.tenant, "tenant", self.tenant)


class Going:
    """A read while it goes on. Leaving it records it, however it ended; `count` is how many results there are.

    `quiet`: nothing is recorded if nothing came out. Leaving raises ReadNotRecorded.
    """

    def __init__(self, reads: Reads, asked: Asked) -> None:
        self._reads, self._asked = reads, asked
        self.count, self.quiet = 0, False
        self._began = 0.0
        self._noted: Noted | None = None
        self._token: Token[Noted | None] | None = None

    async def __aenter__(self) -> Going:
        if self._reads.log is not None:
            self._noted, self._token = begin()
            self._began = time.perf_counter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        log, noted = self._reads.log, self._noted
        if log is None or noted is None or self._token is None:
            return
        took = (time.perf_counter() - self._began) * 1e3
        end(self._token)
        if self.quiet and error is None and not noted.memory_ids:
            return
        read = Read(await self._reads.whose(noted, self._asked.ids), self._body(error, took))
        await log.record(read)

    def _body(self, error: BaseException | None, took: float) -> MemoryRead:
        asked, who = self._asked, reader(self._reads.client)
        decision = "allowed" if error is None else "denied" if isinstance(error, ReadDenied) else "failed"
        return MemoryRead(
            verb=asked.verb,
            decision=decision,
            actor=who.actor or "",
            error="" if error is None else type(error).__name__,
            purpose=who.purpose or "",
            count=self.count,
            query_hash=self._reads.hash_of(asked.query),
            agent_id=_text(asked.ids[1]),
            run_id=_text(asked.ids[2]),
            as_of=_moment(asked.as_of),
            duration_ms=round(took, 3),
        )


def _named(memory_ids: set[str]) -> list[str]:
    return sorted(memory_ids) if len(memory_ids) <= MOST_NAMED else [CLEARS]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _moment(value: object) -> datetime | None:
    """None also for what is no moment: then that is what the read failed for."""
    try:
        return checked_moment(value)
    except (InvalidInput, InvalidType):
        return None
