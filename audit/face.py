"""`memory.audit`: what a caller asks the full log. Every verb checks its arguments and asks; results are plain dicts.

Answers come from the archive and the log behind it, never from the projections, and never older than the question.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from msgspec.structs import replace

from memfold.audit.auditor import Auditor, ReportName
from memfold.audit.bounds import Bounds, checked_bounds, checked_moment
from memfold.audit.bundle import Selection
from memfold.audit.bundle_file import write_bundle
from memfold.audit.provenance import blame
from memfold.audit.report import Report
from memfold.audit.result import AuditResult
from memfold.memory.errors import InvalidInput, InvalidType, UnknownMemory
from memfold.memory.recorded import recorded
from memfold.memory.scopes import checked_id, checked_scope

Told = dict[str, Any]
_PAUSE = 0.25
"""Seconds between two looks at the end of the log while it is followed."""


class AsyncAudit:
    """Questions to the full log. All raise ShardDamaged, LogTruncated and BrokerUnreachable beside what each one names.

    Times are aware datetimes or ISO 8601 text, and always the broker's: when a thing came into the log.
    """

    def __init__(self, ready: Callable[[], Awaitable[Auditor]]) -> None:
        self._ready = ready

    @recorded("sql", "sql")
    async def sql(
        self,
        sql: str,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        memory_id: str | None = None,
        since: Any = None,
        until: Any = None,
        partition: int | None = None,
    ) -> AuditResult:
        """One SELECT in DuckDB's SQL over the views of docs/audit-views.md. Only what the bounds hold is opened, and is in the views.

        `user_id` narrows every view to the user's own log; agent_id, run_id and memory_id narrow the opened views. Raises
        InvalidInput, TooMuchToOpen (100,000 records a question), QueryStopped (30 s, 100,000 rows, 512 MB).
        """
        auditor = await self._ready()
        bounds = _bounds(
            auditor,
            user_id=user_id,
            agent_id=agent_id,
            run_id=run_id,
            memory_id=memory_id,
            since=since,
            until=until,
            partition=partition,
        )
        return await asyncio.to_thread(auditor.sql, _checked_sql(sql), bounds)

    @recorded("blame", "memory_id")
    async def blame(self, memory_id: str) -> Told:
        """Of what a memory says now, where each part comes from: {id, memory, parts}, and of each part the message, the model
        calls, the decision and the version, each with its place in the log. Raises InvalidInput, UnknownMemory.
        """
        auditor, wanted = await self._ready(), _checked_memory(memory_id)
        events = await auditor.history.events_of(auditor.tenant, wanted)
        if not events:
            raise UnknownMemory(f"there never was a memory {wanted} in this tenant")
        commands = {event.envelope.command_id: await auditor.history.command_of(event) for event in events}
        return blame(events, commands, wanted)

    @recorded("diff", as_of="end")
    async def diff(
        self,
        start: Any,
        end: Any,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
    ) -> Told:
        """What differs between two moments: {from, to, added, changed, gone, relations_begun, relations_ended}.

        Raises InvalidInput, TooMuchToOpen.
        """
        auditor = await self._ready()
        bounds = _scoped(auditor, user_id, agent_id, run_id)
        moments = checked_moment("start", start), checked_moment("end", end)
        return await asyncio.to_thread(auditor.diff, bounds, *moments)

    @recorded("timeline")
    async def timeline(
        self,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        since: Any = None,
        until: Any = None,
    ) -> list[Told]:
        """Everything that happened to the memories and relations of a scope, oldest first. Raises InvalidInput, TooMuchToOpen."""
        auditor = await self._ready()
        bounds = _scoped(auditor, user_id, agent_id, run_id, since=since, until=until)
        return await asyncio.to_thread(auditor.timeline, bounds)

    @recorded("as_of", as_of="moment")
    async def as_of(
        self,
        moment: Any,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
    ) -> Told:
        """What was known at a moment, by the log alone: {at, results, relations}. Without any id: of the whole tenant.

        Raises InvalidInput, TooMuchToOpen.
        """
        auditor, at = await self._ready(), checked_moment("moment", moment)
        bounds = _bounds(auditor, user_id=user_id, agent_id=agent_id, run_id=run_id)
        return await asyncio.to_thread(auditor.as_of, bounds, at)

    @recorded("as_of", as_of="moment")
    async def memories_as_of(
        self, moment: Any, *, agent_id: str | None = None, run_id: str | None = None
    ) -> AuditResult:
        """The results of `as_of` for the whole tenant as one table: of a million events a tenth of a second, once they were opened.

        The first question opens the whole log, the next ones what is new. Raises InvalidInput, TooMuchToOpen (2,000,000 records).
        """
        auditor, at = await self._ready(), checked_moment("moment", moment)
        bounds = _bounds(auditor, agent_id=agent_id, run_id=run_id)
        return await asyncio.to_thread(auditor.memories_then, bounds, at)

    @recorded("log")
    async def log(
        self, *, user_id: str | None = None, since: Any = None, until: Any = None, limit: int = 50
    ) -> list[Told]:
        """The newest events, the newest first: what each did, who for, where it stands. Raises InvalidInput, TooMuchToOpen."""
        auditor = await self._ready()
        bounds = _bounds(auditor, user_id=user_id, since=since, until=until)
        return await asyncio.to_thread(auditor.newest, bounds, _checked_limit(limit))

    async def follow(
        self, *, user_id: str | None = None, after: Mapping[int, int] | None = None
    ) -> AsyncIterator[Told]:
        """Events as they come, as `log` tells them, without an end. `after`: offset by partition; only events behind it, and of
        the partitions that it leaves out all. None: only what comes from now on. Raises InvalidInput, TooMuchToOpen.
        """
        auditor = await self._ready()
        position = await asyncio.to_thread(auditor.end) if after is None else _checked_after(after)
        while True:
            entries, position = await self._behind(position, user_id=user_id)
            for entry in entries:
                yield entry
            if not entries:
                # Kafka tells a consumer of news, but a consumer a partition for each who looks on would cost more than asking.
                await asyncio.sleep(_PAUSE)

    @recorded("follow", quiet=True)
    async def _behind(
        self, position: tuple[int, ...], *, user_id: str | None
    ) -> tuple[list[Told], tuple[int, ...]]:
        auditor = await self._ready()
        bounds = replace(_bounds(auditor, user_id=user_id), after=position)
        return await asyncio.to_thread(auditor.behind, bounds)

    @recorded("reads")
    async def reads(
        self, *, user_id: str | None = None, since: Any = None, until: Any = None, limit: int = 100
    ) -> list[Told]:
        """Who read, the newest first: {at, who, purpose, verb, whose, decision, error, count, memory_ids, read_id}.

        Of a user: the reads that gave memories of theirs, or asked for them. `whose` is None where nobody's memories were read.

        Raises InvalidInput, TooMuchToOpen.
        """
        auditor = await self._ready()
        bounds = _bounds(auditor, user_id=user_id, since=since, until=until)
        return await asyncio.to_thread(auditor.newest_reads, bounds, _checked_limit(limit))

    @recorded("show", "record_id")
    async def show(self, record_id: str) -> Told:
        """One event or command, decoded: its envelope, body, schema, exact bytes in hex, and where it stands.

        Raises InvalidInput, UnknownRecord.
        """
        wanted = checked_id("record_id", record_id)
        if wanted is None:
            raise InvalidType("record_id must be a string, not None; pass an event_id or command_id")
        auditor = await self._ready()
        return await asyncio.to_thread(auditor.show, wanted)

    @recorded("bundle", as_of="")
    async def bundle(
        self,
        output: str | Path,
        *,
        user_id: str,
        start: Any = None,
        end: Any = None,
        sealed: bool = False,
        reads: bool = True,
        witnessed: Sequence[str | Path] = (),
    ) -> Told:
        """Write a ZIP with the records of a user from `start` up to `end`, which a stranger checks without memfold and network.

        {bundle, records, opened, left_out, sha256}. It holds the user's data key, unless `sealed`, and who read their
        memories, unless not `reads`. `witnessed`: files of
        countersigned checkpoints, or a witness's folder. See docs/evidence.md. Raises InvalidInput, TooMuchToOpen (10,000 records),
        KeyDestroyed, ProofRefused, NoteRefused, OSError.
        """
        auditor = await self._ready()
        bounds = _scoped(auditor, user_id, None, None, since=start, until=end)
        selection = Selection(not sealed, reads, (_said("start", start), _said("end", end)))
        return await asyncio.to_thread(write_bundle, Path(output), auditor, bounds, selection, witnessed)

    @recorded("report", as_of="")
    async def report(
        self, name: ReportName, *, user_id: str | None = None, since: Any = None, until: Any = None
    ) -> Report:
        """One of the reports: `.json()` for programs, `.html()` for printing. Raises InvalidInput, TooMuchToOpen, QueryStopped."""
        if name not in get_args(ReportName):
            raise InvalidInput(f"there is no report {name!r}; there are {', '.join(get_args(ReportName))}")
        auditor = await self._ready()
        bounds = _bounds(auditor, user_id=user_id, since=since, until=until)
        return await asyncio.to_thread(auditor.report, name, bounds)


def _bounds(auditor: Auditor, **given: Any) -> Bounds:
    return checked_bounds(auditor.tenant, auditor.log.directory, **given)


def _scoped(auditor: Auditor, user_id: Any, agent_id: Any, run_id: Any, **given: Any) -> Bounds:
    checked_scope(user_id, agent_id, run_id)
    return _bounds(auditor, user_id=user_id, agent_id=agent_id, run_id=run_id, **given)


def _said(name: str, moment: Any) -> str | None:
    return None if moment is None else checked_moment(name, moment).isoformat()


def _checked_limit(limit: object) -> int:
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise InvalidInput(f"limit {limit!r} must be a whole number above 0")
    return limit


def _checked_sql(sql: object) -> str:
    if not isinstance(sql, str):
        raise InvalidType(f"sql must be text, not {type(sql).__name__}")
    return sql


def _checked_memory(memory_id: object) -> str:
    wanted = checked_id("memory_id", memory_id)
    if wanted is None:
        raise InvalidType("memory_id must be a string, not None")
    return wanted


def _checked_after(after: Mapping[int, int]) -> tuple[int, ...]:
    for partition, offset in after.items():
        if not (isinstance(partition, int) and isinstance(offset, int)) or partition < 0 or offset < -1:
            raise InvalidInput(f"after has {partition!r}: {offset!r}; it maps partitions to offsets")
    return tuple(after.get(partition, -1) for partition in range(max(after, default=-1) + 1))
