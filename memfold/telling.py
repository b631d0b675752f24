"""What a caller tells the memory: every verb checks, writes a command, and gives back what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from memfold.memory.bringing import bring
from memfold.memory.errors import InvalidInput, InvalidType
from memfold.memory.messages import Messages, checked_item, checked_metadata, checked_text
from memfold.memory.results import Result, item_results, receipt_result, retried_result, written_result
from memfold.memory.scopes import checked_id, checked_scope
from memfold.memory.writing import Written, checked_memory_id
from memfold.opened import Opened
from memfold.serve.traced import traced


class Telling(Opened):
    """The verbs that write. Each is an event; what came before stays in the log."""

    @traced
    async def add(
        self,
        messages: Messages,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        actor_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        timestamp: Any = None,
        infer: bool = True,
        wait: bool = True,
        idempotency_key: str | None = None,
    ) -> Result:
        """Remember what was said: {results: [{id, memory, event}], relations, ended_relations, receipt}.

        `infer=False` keeps each message as it is. `wait=False` returns the receipt as soon as the command is in the log.
        Raises InvalidInput, InvalidType, BrokerUnreachable, NotWritten, WriteUnknown, NotVisibleYet.
        """
        scope = checked_scope(user_id, agent_id, run_id, actor_id)
        item = checked_item(messages, metadata, timestamp)
        caller = await self._ready()
        (written,) = await caller.writing.add(
            [item], scope, infer, wait, checked_id("idempotency_key", idempotency_key)
        )
        return _written(written)

    @traced
    async def add_many(
        self,
        items: Sequence[Mapping[str, Any]],
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        actor_id: str | None = None,
        infer: bool = True,
        wait: bool = True,
        idempotency_key: str | None = None,
    ) -> Result:
        """Remember many things in few events: {results: one {results, relations} per item, in order, receipts}.

        Each item is {messages, metadata, timestamp}; the last two may be left out. Raises as `add`; an item that cannot be
        accepted refuses all of them before anything is written.
        """
        scope = checked_scope(user_id, agent_id, run_id, actor_id)
        checked = [_checked_many(number, item) for number, item in enumerate(items)]
        if not checked:
            raise InvalidInput("items is empty; there is nothing to remember")
        caller = await self._ready()
        packs = await caller.writing.add(
            checked, scope, infer, wait, checked_id("idempotency_key", idempotency_key)
        )
        receipts = [receipt_result(written.receipt) for written in packs]
        results = [one for pack in packs if pack.decided for one in item_results(pack.decided, pack.items)]
        return {"results": results, "receipts": receipts}

    @traced
    async def update(
        self,
        memory_id: str,
        text: str,
        *,
        metadata: Mapping[str, Any] | None = None,
        actor_id: str | None = None,
        wait: bool = True,
        idempotency_key: str | None = None,
    ) -> Result:
        """Give a memory a new text; the old one stays in its history. Raises UnknownMemory and as `add`."""
        wanted, checked = checked_memory_id(memory_id), checked_text("text", text)
        packed = None if metadata is None else checked_metadata(metadata)
        actor, key = checked_id("actor_id", actor_id), checked_id("idempotency_key", idempotency_key)
        written = await (await self._ready()).writing.update(wanted, checked, packed, actor, wait, key)
        return {"message": "Memory updated", **_written(written)}

    @traced
    async def delete(
        self,
        memory_id: str,
        *,
        actor_id: str | None = None,
        wait: bool = True,
        idempotency_key: str | None = None,
    ) -> Result:
        """Take a memory out of view; its history stays. Raises UnknownMemory and as `add`."""
        actor, key = checked_id("actor_id", actor_id), checked_id("idempotency_key", idempotency_key)
        written = await (await self._ready()).writing.delete(memory_id, actor, wait, key)
        return {"message": "Memory deleted", **_written(written)}

    @traced
    async def delete_all(
        self,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        wait: bool = True,
        idempotency_key: str | None = None,
    ) -> Result:
        """Take every memory of the scope out of view: {message, receipts}. Raises as `add`."""
        scope = checked_scope(user_id, agent_id, run_id)
        key = checked_id("idempotency_key", idempotency_key)
        written = await (await self._ready()).writing.delete_all(scope, wait, key)
        return {"message": "Memories deleted", "receipts": [receipt_result(one.receipt) for one in written]}

    @traced
    async def retry(
        self, *, user_id: str | None = None, agent_id: str | None = None, run_id: str | None = None
    ) -> Result:
        """Decide again what is pending because a model had failed; of everybody, if no id is given.

        {results, relations, pending: how many are left}, and `degraded` with the reason if a model failed again.
        """
        anyone = user_id is None and agent_id is None and run_id is None
        scope = None if anyone else checked_scope(user_id, agent_id, run_id)
        writing = (await self._ready()).writing
        bodies = [written.decided for written in await writing.retry(scope) if written.decided]
        return retried_result(bodies, await writing.pending(scope))

    @traced
    async def merge_entities(
        self,
        entity: str,
        into: str,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        actor_id: str | None = None,
    ) -> Result:
        """Two names are one entity: every relation of `entity` becomes one of `into`. `split_entity(into, entity)` undoes it.

        Names as they were said, or the ids in `source_entity` and `target_entity`. Raises CommandRejected where it is not clear
        which one is meant; nothing changed then.
        """
        scope = checked_scope(user_id, agent_id, run_id)
        one, other = checked_text("entity", entity), checked_text("into", into)
        writing = (await self._ready()).writing
        return _written(await writing.merge(scope, one, other, checked_id("actor_id", actor_id)))

    @traced
    async def split_entity(
        self,
        entity: str,
        name: str,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        actor_id: str | None = None,
    ) -> Result:
        """What goes by `name` (or has that role: "dentist") is not that entity, but one of its own. Raises as `merge_entities`."""
        scope = checked_scope(user_id, agent_id, run_id)
        one, going = checked_text("entity", entity), checked_text("name", name)
        writing = (await self._ready()).writing
        return _written(await writing.split(scope, one, going, checked_id("actor_id", actor_id)))

    async def import_memories(
        self,
        memories: Sequence[Mapping[str, Any]],
        *,
        source: str = "jsonl",
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
    ) -> Result:
        """Take in memories that began elsewhere, with their ids, times and history, as `export_memories` gives them: {imported,
        there_before, degraded, refused: [{place, reason}], differing: [{place, reason}]}; `place` counts from 0.

        No model decides, and the same memory of the same `source` counts once. The ids say whose those are that name nobody. One that
        is refused keeps no other out. Raises as `add`; after WriteUnknown or NotVisibleYet call again with the same memories.
        """
        anyone = user_id is None and agent_id is None and run_id is None
        whose = None if anyone else checked_scope(user_id, agent_id, run_id)
        if isinstance(memories, str | bytes | Mapping) or not isinstance(memories, Sequence):
            raise InvalidType(f"memories must be a list of dicts, not {type(memories).__name__}")
        named = checked_text("source", checked_id("source", source))
        return asdict(await bring((await self._ready()).writing, memories, named, whose))

    @traced
    async def reset(self, *, wait: bool = True, idempotency_key: str | None = None) -> Result:
        """Take everything of the tenant out of view. An event too: what came before stays in the log."""
        key = checked_id("idempotency_key", idempotency_key)
        written = await (await self._ready()).writing.reset(wait, key)
        return {"message": "Memory reset", "receipts": [receipt_result(one.receipt) for one in written]}


def _written(written: Written) -> Result:
    if written.decided is None:
        return {"results": [], "relations": [], "receipt": receipt_result(written.receipt)}
    return written_result(written.decided, written.receipt)


def _checked_many(number: int, item: object) -> Any:
    if not isinstance(item, Mapping):
        raise InvalidType(f"items[{number}] must be a dict with messages, not {type(item).__name__}")
    unknown = set(item) - {"messages", "metadata", "timestamp"}
    if unknown:
        raise InvalidInput(
            f"items[{number}] has {sorted(unknown)[0]!r}; an item has messages, metadata and timestamp"
        )
    return checked_item(item.get("messages"), item.get("metadata"), item.get("timestamp"))
