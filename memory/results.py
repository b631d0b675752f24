"""What callers get back, in the shapes that Mem0's users know."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from memfold.memory.ports import Around, MemoryRow, Receipt, Relation
from memfold.memory.reranking import Reordered
from memfold.memory.wide import Searched
from memfold.schemas.records import MemoriesDecided, Operation, RelationChange, Scope

Result = dict[str, Any]


def operation_result(done: Operation) -> Result:
    """{id, memory, event}; kind, when, pending and previous_memory where there is one."""
    result: Result = {"id": done.memory_id, "memory": done.text, "event": done.op}
    result |= _told(done.kind, done.when, done.pending)
    if done.op == "UPDATE":
        result["previous_memory"] = done.previous_text
    return result


def _told(kind: str, when: str, pending: bool) -> Result:
    told: Result = {"kind": kind, "when": when} if when else {"kind": kind} if kind else {}
    return told | {"pending": True} if pending else told


def change_result(change: RelationChange) -> Result:
    """A relation that an event asserted, or retracted; `ended_at` is when it stopped being true, if that is known."""
    result: Result = {
        "source": change.source,
        "source_type": change.source_type,
        "relationship": change.relationship,
        "target": change.target,
        "target_type": change.target_type,
        "memory_id": change.memory_id,
        "source_entity": change.source_entity,
        "target_entity": change.target_entity,
    }
    if change.op == "RETRACT":
        result["ended_at"] = _iso(change.valid_to)
    return result


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def reranker_result(reordered: Reordered) -> Result:
    """{reranker: {model, read: how many memories, failed: why it was answered without it, or None}}."""
    told = {"model": reordered.model, "read": len(reordered.places), "failed": reordered.failure or None}
    return {"reranker": told}


def relation_result(relation: Relation) -> Result:
    return {
        "source": relation.source,
        "source_type": relation.source_type,
        "relationship": relation.relationship,
        "target": relation.target,
        "target_type": relation.target_type,
        "memory_id": relation.memory_id,
        "confidence": relation.confidence,
        "since": relation.since.isoformat(),
        "valid_from": _iso(relation.valid_from),
        "source_entity": relation.source_entity,
        "target_entity": relation.target_entity,
    }


def around_result(found: Around) -> Result:
    """{entities, relations, more}: each relation with its distance, and when it ended if it did."""
    relations = [
        relation_result(near.relation)
        | {
            "valid_to": _iso(near.relation.valid_to),
            "until": _iso(near.relation.until),
            "distance": near.distance,
        }
        for near in found.relations
    ]
    return {"entities": found.entities, "relations": relations, "more": found.more}


def receipt_result(receipt: Receipt) -> Result:
    result: Result = {
        "command_id": receipt.command_id,
        "partition": receipt.partition,
        "offset": receipt.offset,
    }
    if receipt.signed:
        result["signed"] = receipt.signed
    return result


def written_result(body: MemoriesDecided, receipt: Receipt) -> Result:
    """What one command changed: results, relations that now hold, relations that ended, its receipt."""
    result: Result = {
        "results": [operation_result(done) for done in body.operations],
        "relations": [change_result(change) for change in body.relations if change.op == "ASSERT"],
        "ended_relations": [change_result(change) for change in body.relations if change.op == "RETRACT"],
        "receipt": receipt_result(receipt),
    }
    if body.outcome == "degraded":
        result["degraded"] = body.reason
    return result


def retried_result(bodies: Iterable[MemoriesDecided], pending: int) -> Result:
    """What a retry changed: results, relations, how many are still pending, and why if a model failed again."""
    found = list(bodies)
    result: Result = {
        "results": [operation_result(done) for body in found for done in body.operations],
        "relations": [change_result(c) for body in found for c in body.relations if c.op == "ASSERT"],
        "pending": pending,
    }
    failures = [body.reason for body in found if body.outcome == "degraded"]
    return result | {"degraded": failures[-1]} if failures else result


def item_results(body: MemoriesDecided, items: int) -> list[Result]:
    """One {results, relations} for each item of a command, in order."""
    results: list[Result] = [{"results": [], "relations": []} for _ in range(items)]
    item_of: dict[str, int] = {}
    for done in body.operations:
        item_of[done.memory_id] = done.item
        results[done.item]["results"].append(operation_result(done))
    for change in body.relations:
        if change.op == "ASSERT" and change.memory_id in item_of:
            results[item_of[change.memory_id]]["relations"].append(change_result(change))
    return results


def memory_result(
    row: MemoryRow, score: float | None = None, parts: Mapping[str, float] | None = None
) -> Result:
    """One memory as get, get_all and search return it; `parts` of its score where it is to be explained."""
    result: Result = {
        "id": row.memory_id,
        "memory": row.text,
        # Mem0's callers compare this to see whether a text changed; it protects nothing.
        "hash": hashlib.md5(row.text.encode(), usedforsecurity=False).hexdigest(),
        "version": row.version,
        "metadata": json.loads(row.metadata),
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
        "role": row.role,
    }
    result |= _told(row.kind, row.when, row.pending)
    result |= scope_result(row.scope)
    if score is not None:
        result["score"] = round(score, 6)
    if parts is not None:
        result["score_details"] = {name: round(part, 6) for name, part in parts.items()}
    return result


def searched_result(searched: Searched) -> Result:
    """{searched: {ranked, meaning, words}}: how much of the scope was scored, and how it was looked for."""
    told = {"ranked": searched.ranked, "meaning": searched.meaning, "words": searched.words}
    return {"searched": told}


_SCOPE = ("user_id", "agent_id", "run_id", "actor_id")


def told_result(metadata: str, role: str | None) -> Result:
    """{metadata, role} of a memory as an operation holds them."""
    return {"metadata": json.loads(metadata), "role": role}


def scope_result(scope: Scope) -> Result:
    """The ids that there are."""
    return {name: value for name, value in zip(_SCOPE, scope.ids(), strict=True) if value is not None}


def memory_results(rows: Iterable[MemoryRow]) -> list[Result]:
    return [memory_result(row) for row in rows]
