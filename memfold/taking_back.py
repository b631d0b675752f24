"""What a caller takes back. Nothing leaves the log: compensating events make it as if it had not been said."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from memfold.audit.bounds import checked_bounds
from memfold.audit.resting import Resting
from memfold.memory.errors import InvalidInput, InvalidType
from memfold.memory.messages import checked_text
from memfold.memory.recorded import recorded
from memfold.memory.results import Result, taken_back_result
from memfold.memory.scopes import checked_id
from memfold.memory.writing import Written, checked_memory_id
from memfold.opened import Opened
from memfold.schemas.records import RevokeRequested
from memfold.serve.traced import traced


class TakingBack(Opened):
    """The verbs that undo."""

    @traced
    async def revert(
        self,
        memory_or_event: str,
        reason: str,
        *,
        actor_id: str | None = None,
        wait: bool = True,
        idempotency_key: str | None = None,
    ) -> Result:
        """Restore what was before: {results, relations, ended_relations, reviews, receipts}.

        The id of a memory: it says what it said before its last version; if that added it, it goes out of view, if that deleted
        it, it is back. The id of an event or a command: all that it did is undone. Reverted twice is as it was.
        Raises UnknownMemory, CommandRejected (nothing is left to undo) and as `update`.
        """
        wanted, why = checked_memory_id(memory_or_event), checked_text("reason", reason)
        actor, key = checked_id("actor_id", actor_id), checked_id("idempotency_key", idempotency_key)
        caller = await self._ready()
        parts = await caller.auditor.to_revert(wanted)
        written = [
            await self._taken_back(subject, RevokeRequested(part, "revert", why, actor), wait, key, number)
            for number, (subject, part) in enumerate(parts)
        ]
        return taken_back_result([(one.decided, one.receipt) for one in written])

    @traced
    @recorded("revoke")
    async def revoke(
        self,
        commands: Sequence[str] = (),
        *,
        reason: str,
        actor: str | None = None,
        user_id: str | None = None,
        since: Any = None,
        until: Any = None,
        dry_run: bool = False,
        actor_id: str | None = None,
    ) -> Result:
        """Undo everything that rests on commands, or on what an actor or agent asked: {tree, results, relations, ended_relations,
        reviews, receipts}. `dry_run` gives the tree alone.

        `commands` are ids of commands or events; `actor` is an actor_id, an agent_id or the name of messages, and may be narrowed
        by `user_id`, `since` and `until` (the broker's times). `actor_id` is who revokes. What was revoked before is left out, so
        the same again finds nothing. Raises InvalidInput, UnknownRecord, TooMuchToOpen and as `update`.
        """
        why, who = checked_text("reason", reason), checked_id("actor_id", actor_id)
        found = await self._resting(
            _checked_commands(commands), checked_id("actor", actor), user_id=user_id, since=since, until=until
        )
        result: Result = {"tree": [one.tree for one in found]}
        if dry_run:
            return result
        written = [
            await self._taken_back(one.subject, RevokeRequested(part, "revoke", why, who), True, None, 0)
            for one in found
            for part in one.parts
        ]
        return result | taken_back_result([(one.decided, one.receipt) for one in written])

    async def _resting(self, commands: Sequence[str], actor: str | None, **bounds: Any) -> list[Resting]:
        auditor = (await self._ready()).auditor
        if bool(commands) == (actor is not None):
            raise InvalidInput("name commands, or an actor whose commands are meant; one of the two")
        if actor is None:
            if given := [name for name, value in bounds.items() if value is not None]:
                raise InvalidInput(f"{given[0]} narrows an actor's commands; commands are named one by one")
            return await asyncio.to_thread(auditor.resting_on, commands)
        inside = checked_bounds(auditor.tenant, auditor.log.directory, **bounds)
        return await asyncio.to_thread(auditor.resting_on_actor, actor, inside)

    async def _taken_back(
        self, subject: str, command: RevokeRequested, wait: bool, key: str | None, number: int
    ) -> Written:
        part = f"{key}/{number}" if key and number else key
        return await (await self._ready()).writing.revoke(subject, command, wait, part)


def _checked_commands(commands: object) -> list[str]:
    if isinstance(commands, str) or not isinstance(commands, Sequence):
        raise InvalidType(f"commands must be a list of ids, not {type(commands).__name__}")
    return [one for command in commands if (one := checked_id("commands", command)) is not None]
