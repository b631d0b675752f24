"""What a caller asks the memory: every verb checks, asks the core, and gives back plain dicts in Mem0's shapes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memfold.audit.bounds import checked_bounds
from memfold.audit.explanation import explanation
from memfold.audit.report import Report
from memfold.audit.versions import versions
from memfold.memory.errors import UnknownMemory
from memfold.memory.exploring import checked_format, checked_sparql, checked_walk
from memfold.memory.log_position import checked_since
from memfold.memory.messages import checked_text
from memfold.memory.moments import checked_moment
from memfold.memory.reach import checked_reach
from memfold.memory.recalling import checked_limit, checked_threshold
from memfold.memory.recorded import recorded
from memfold.memory.results import (
    Result,
    around_result,
    memory_result,
    memory_results,
    relation_result,
    reranker_result,
    searched_result,
)
from memfold.memory.scopes import checked_scope
from memfold.memory.watch import AsyncWatch, Watcher
from memfold.memory.writing import checked_memory_id
from memfold.opened import Opened
from memfold.providers.llm_choice import with_llm
from memfold.replay.progress import Watch, unwatched
from memfold.replay.what_if_report import checked_prices
from memfold.serve.traced import traced
from memfold.serve.what_if import Wanted, what_if_of


class Asking(Opened):
    """The verbs that read. Each is a read event, where reads are recorded."""

    @traced
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

    @traced
    @recorded("get", "memory_id")
    async def get(self, memory_id: str, *, as_of: Any = None) -> Result | None:
        """One memory, None when there is none or it was deleted; `as_of` as in `search`. Raises InvalidInput for what is no id."""
        then = checked_moment(as_of)
        row = await (await self._ready()).recalling_as_of(then).get(memory_id)
        return None if row is None else memory_result(row)

    @traced
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

    def watch(
        self,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        filters: Mapping[str, Any] | None = None,
        since: Any = None,
    ) -> AsyncWatch:
        """Every change of the scope as it is decided, without an end: `async for change in memory.watch(user_id="alex")`.

        A change is {event, id, memory, version, relations, ended_relations, at, command_id, position} with the ids, and what the
        memory holds (docs/streaming.md). `event`: ADD, UPDATE, DELETE, RELATIONS (only those changed), ERASED (of a subject that was
        erased) or CLEAR (more was cleared than can be named). `filters` as in `search`, of the memory as the change leaves it.
        `since`: the `position` of a change, to go on after it; or a moment as for `as_of`; None: from when it is opened. Raises
        InvalidInput, InvalidType; see AsyncWatch.
        """
        ids = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id}
        reach, begin = checked_reach(filters, ids), checked_since(since)

        async def ready(watch: AsyncWatch) -> Watcher:
            return (await self._ready()).watches.watcher(watch, reach, tuple(ids.values()))

        return AsyncWatch(ready, begin)

    @traced
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

    @traced
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

    @recorded("export_memories")
    async def export_memories(
        self, *, user_id: str | None = None, agent_id: str | None = None, run_id: str | None = None
    ) -> Result:
        """Memories with their whole history, deleted ones too, in the shape that `import_memories` takes: {results, left_out}.

        Without any id those of the whole tenant. `left_out` counts records by why they cannot be told: their key was destroyed, they
        are forged. Raises InvalidInput, TooMuchToOpen (100,000 records of one user).
        """
        auditor = (await self._ready()).auditor
        ids = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id}
        bounds = checked_bounds(auditor.tenant, auditor.log.directory, **ids)
        return await asyncio.to_thread(auditor.exported, bounds)

    @recorded("what_if")
    async def what_if(
        self,
        *,
        llm: str | None = None,
        base_url: str | None = None,
        prompt: str | None = None,
        decision_prompt: str | None = None,
        threshold: float | None = None,
        user_id: str | None = None,
        since: Any = None,
        until: Any = None,
        dry_run: bool = False,
        reuse: bool = True,
        prices: tuple[float, float] | None = None,
        shadow: str | Path | None = None,
        watch: Watch = unwatched,
    ) -> Report:
        """What would have been decided with another model, other instructions or another threshold: a report, with `json()` and `html()`.

        `llm`: offline, provider/model, or a model of the configured provider, at `base_url`. `prompt` and `decision_prompt` take the
        place of the instructions. `threshold`: memories less similar than that are not shown to a decision. `user_id`, `since` and
        `until` say whose commands, and when. Recorded answers are taken where the question is the same, unless `reuse=False`.
        `dry_run` asks nothing and estimates. `prices`: of a million tokens of input and of output. `shadow`: a new folder for the log
        as it would be, to be opened by `Memory.open`. Nothing is written to the log or to what is served.
        Raises InvalidInput, TooMuchToOpen, WhatIfStopped.
        """
        auditor = (await self._ready()).auditor
        models = with_llm(self._settings.models, llm, base_url, prompt, decision_prompt)
        bounds = checked_bounds(
            auditor.tenant, auditor.log.directory, user_id=user_id, since=since, until=until
        )
        wanted = Wanted(
            bounds,
            models,
            checked_threshold(threshold),
            checked_prices(prices),
            dry_run,
            reuse,
            None if shadow is None else Path(shadow),
        )
        return await what_if_of(self._settings, auditor, wanted, watch)

    @traced
    @recorded("history", "memory_id")
    async def history(self, memory_id: str) -> list[Result]:
        """Every version of a memory, oldest first: old, new, event, when, by whom, from which command. Empty for an unknown one."""
        wanted = checked_memory_id(memory_id)
        caller = await self._ready()
        return versions(await caller.history.events_of(self._settings.tenant, wanted), wanted)

    @traced
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
