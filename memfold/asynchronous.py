"""AsyncMemory: what a caller has in hand. Every verb checks, asks the core, and gives back plain dicts in Mem0's shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from memfold.audit.auditor import Auditor
from memfold.audit.explanation import explanation
from memfold.audit.face import AsyncAudit
from memfold.audit.versions import versions
from memfold.memory.errors import InvalidInput, InvalidType, UnknownMemory
from memfold.memory.exploring import checked_format, checked_sparql, checked_walk
from memfold.memory.messages import Messages, checked_item, checked_metadata, checked_text
from memfold.memory.moments import checked_moment
from memfold.memory.reach import checked_reach
from memfold.memory.readers import reading
from memfold.memory.recalling import checked_limit, checked_threshold
from memfold.memory.recorded import recorded
from memfold.memory.results import (
    Result,
    around_result,
    item_results,
    memory_result,
    memory_results,
    receipt_result,
    relation_result,
    reranker_result,
    retried_result,
    searched_result,
    written_result,
)
from memfold.memory.scopes import checked_id, checked_scope
from memfold.memory.writing import Written, checked_memory_id
from memfold.serve.caller import Caller
from memfold.serve.mem0_config import MemoryConfig, settings_of
from memfold.serve.settings import settings_from


class AsyncMemory:
    """An agent's memory, over the stack that runs in `home`, or over one that it starts and stops with the block.

    `settings` are those of `memfold config`. Use as `async with AsyncMemory() as memory`, or call `open` and `close`.
    Raises on opening: BrokerUnreachable, TopicMisconfigured, WrongKey, InvalidInput.
    """

    def __init__(
        self, *, home: str | Path | None = None, bootstrap_servers: str | None = None, **settings: Any
    ) -> None:
        self._settings = settings_from(home=home, bootstrap_servers=bootstrap_servers, **settings)
        self._caller: Caller | None = None

    @classmethod
    def from_config(cls, config_dict: Mapping[str, Any] | MemoryConfig, **settings: Any) -> AsyncMemory:
        """From a configuration as Mem0 writes it, with memfold's own `settings` beside it; see docs/providers.md.

        Raises InvalidInput naming the field; warns once (IgnoredSetting) of what has no effect here.
        """
        return cls(**settings_of(config_dict), **settings)

    async def open(self) -> None:
        """Connect, starting an embedded stack where none runs."""
        if self._caller is None:
            self._caller = await Caller.open(self._settings)

    async def close(self) -> None:
        """Let go of everything; an embedded stack that this object started is stopped."""
        if self._caller is not None:
            caller, self._caller = self._caller, None
            await caller.close()

    async def __aenter__(self) -> AsyncMemory:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ready(self) -> Caller:
        await self.open()
        assert self._caller is not None
        return self._caller

    reading = staticmethod(reading)

    @property
    def audit(self) -> AsyncAudit:
        """Questions to the full log: SQL over it, where a memory comes from, what changed, what was known at a moment."""
        return AsyncAudit(self._auditor)

    async def _auditor(self) -> Auditor:
        return (await self._ready()).auditor

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

    @recorded("search", "query")
    async def search(
        self,
        query: str,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        limit: int = 20,
        top_k: int | None = None,
        threshold: float | None = 0.1,
        filters: Mapping[str, Any] | None = None,
        explain: bool = False,
        as_of: Any = None,
        rerank: bool | None = None,
    ) -> Result:
        """The memories that answer best, best first, and the relations that belong to them: {results, relations}.

        `filters` is Mem0's grammar (docs/recall.md); the ids may stand inside it, and lists of them. `score` lies between 0 and 1:
        what has nothing to do with the query stays below `threshold`, whatever else there is. `explain` adds `score_details`: what
        each part of the ranking added, and `searched`: how many were ranked and how they were looked for. `as_of` (datetime, ISO 8601
        text, Unix seconds): what would have been answered then, by when the log learnt it; a moment still to come is refused. `top_k`
        is `limit` by its newer name. `rerank=False` leaves a re-ranker out that is configured; with `explain` the result says in
        `reranker` what became of it.
        Raises InvalidInput, InvalidType, ViewUnreachable; ModelUnavailable only if the re-ranker is `strict`.
        """
        text = checked_text("query", query)
        reach = checked_reach(filters, {"user_id": user_id, "agent_id": agent_id, "run_id": run_id})
        wanted, least = checked_limit(limit if top_k is None else top_k), checked_threshold(threshold)
        then = checked_moment(as_of)
        found = await (await self._ready()).recalling_as_of(then).search(text, reach, wanted, least, rerank)
        results = [memory_result(hit.row, hit.score, hit.parts if explain else None) for hit in found.hits]
        second = reranker_result(found.reordered) if explain and found.reordered else {}
        second |= searched_result(found.searched) if explain else {}
        return {"results": results, "relations": [*map(relation_result, found.relations)], **second}

    @recorded("get", "memory_id")
    async def get(self, memory_id: str, *, as_of: Any = None) -> Result | None:
        """One memory, None when there is none or it was deleted; `as_of` as in `search`. Raises InvalidInput for what is no id."""
        then = checked_moment(as_of)
        row = await (await self._ready()).recalling_as_of(then).get(memory_id)
        return None if row is None else memory_result(row)

    @recorded("get_all")
    async def get_all(
        self,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        limit: int = 100,
        top_k: int | None = None,
        filters: Mapping[str, Any] | None = None,
        as_of: Any = None,
    ) -> Result:
        """Every current memory that passes, oldest first, and its relations: {results, relations}. `filters` and `as_of` as in `search`."""
        reach = checked_reach(filters, {"user_id": user_id, "agent_id": agent_id, "run_id": run_id})
        wanted = checked_limit(limit if top_k is None else top_k)
        then = checked_moment(as_of)
        rows, relations = await (await self._ready()).recalling_as_of(then).get_all(reach, wanted)
        return {
            "results": memory_results(rows),
            "relations": [relation_result(relation) for relation in relations],
        }

    @recorded("relations")
    async def relations(
        self,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        entity: str | None = None,
        relationship: str | None = None,
        hops: int = 1,
        as_of: Any = None,
        valid_at: Any = None,
        ended: bool = False,
        limit: int = 100,
    ) -> Result:
        """The relations around an entity (its name or id), nearest first: {entities: the ids meant, relations, more}.

        Each relation has its `distance`, 1 to `hops` (at most 3); with `relationship` only such ones are followed, and without an
        entity all of them are given. `since` and `until` are when the log learnt of it and of its end, `valid_from` and `valid_to`
        when it was true, as far as that was said. `as_of` asks by the former as in `search`, `valid_at` by the latter; `ended`
        adds what holds no longer. `more`: there are more than `limit`. Raises InvalidInput, InvalidType, ViewUnreachable.
        """
        scope = checked_scope(user_id, agent_id, run_id)
        walk = checked_walk(entity, relationship, hops, as_of, valid_at, ended, limit)
        return around_result(await (await self._ready()).exploring.around(scope, walk))

    @recorded("sparql", "query")
    async def sparql(
        self,
        query: str,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout: float = 5.0,
        limit: int = 1000,
    ) -> Result:
        """What a SELECT, ASK or CONSTRUCT finds in the graph of the user (else the agent, else the run), as SPARQL JSON.

        The triples that hold are the default graph; `GRAPH ?g` has every assertion there was, with its provenance. The prefixes
        rdf, rdfs, xsd, prov, mf, relationship, type and entity are there. `parameters` are values of variables that the query
        selects: texts, numbers, times, {"type": "uri", "value": ...}. CONSTRUCT gives rows of subject, predicate and object.
        Raises InvalidInput for a query that cannot be answered (also SERVICE, FROM, updates), QueryStopped after `timeout`
        seconds, above `limit` rows or too much memory.
        """
        scope = checked_scope(user_id, agent_id, run_id)
        asked = checked_sparql(query, parameters, timeout, limit)
        return await (await self._ready()).exploring.sparql(scope, asked)

    @recorded("export")
    async def export(
        self,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        format: str = "turtle",
    ) -> str:
        """The same graph as turtle, trig, json-ld or n-quads, with its provenance in PROV-O; turtle puts all into one graph.

        Raises InvalidInput for another format, ViewUnreachable.
        """
        scope, wanted = checked_scope(user_id, agent_id, run_id), checked_format(format)
        return await (await self._ready()).exploring.export(scope, wanted)

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

    @recorded("history", "memory_id")
    async def history(self, memory_id: str) -> list[Result]:
        """Every version of a memory, oldest first: old, new, event, when, by whom, from which command. Empty for an unknown one."""
        wanted = checked_memory_id(memory_id)
        caller = await self._ready()
        return versions(await caller.history.events_of(self._settings.tenant, wanted), wanted)

    @recorded("explain", "memory_id")
    async def explain(self, memory_id: str) -> Result:
        """Why a memory says what it says: {id, memory, versions}, and of each version the message, the fact that was found in it,
        the decision, the relations and the model calls behind it, with their places in the log.

        Raises InvalidInput for what is no id, UnknownMemory for one that never was.
        """
        wanted = checked_memory_id(memory_id)
        history = (await self._ready()).history
        events = await history.events_of(self._settings.tenant, wanted)
        if not events:
            raise UnknownMemory(f"there never was a memory {wanted} in this tenant")
        commands = {event.envelope.command_id: await history.command_of(event) for event in events}
        return explanation(events, commands, wanted)

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
