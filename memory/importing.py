"""Taking in a memory that began elsewhere: its id, its words and its history as they are, decided without any model.

When it was learnt stays when the log learnt it, so `as_of` never tells of what was not there; when it happened elsewhere is told in
`said_at`, which created_at and updated_at follow.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from memfold.memory.draft import Draft
from memfold.memory.errors import ModelUnavailable
from memfold.memory.understanding import Models, vectors_of
from memfold.schemas.records import IMPORTED, ImportedVersion, ImportRequested, MemoriesDecided, Operation


async def take_in(command: ImportRequested, draft: Draft, models: Models, taken: str) -> MemoriesDecided:
    """The event's body; `taken` says why the id cannot be given, if it cannot. All of the memory is taken in, or nothing."""
    embedder = models.embedder.model
    if command.memory_id in draft.state.memories:
        taken = f"the memory {command.memory_id} is here already"
    if flaw := taken or flaw_of(command.versions):
        return draft.body("rejected", embedder, reason=flaw)
    last, vector, failure = command.versions[-1], None, ""
    if last.op != "DELETE":
        try:
            # Earlier versions were over before the log knew of them: no search of any moment can find them.
            (vector,) = await vectors_of([last.text], models)
        except ModelUnavailable as down:
            failure = f"; without a vector, found by its words only: {down}"
    for operation in _operations(command, vector):
        draft.take(operation)
    if last.op != "DELETE":
        for relation in command.relations:
            draft.hold(relation, command.memory_id)
    return draft.body(
        "degraded" if failure else "decided", embedder, reason=f"{IMPORTED}{command.source}{failure}"
    )


def flaw_of(versions: Sequence[ImportedVersion]) -> str:
    """Why these are no history of a memory; empty for one that is."""
    ops = [version.op for version in versions]
    if not ops:
        return "it has no version"
    if ops[0] != "ADD":
        return f"its history begins with {ops[0]} and not with ADD"
    for number, op in enumerate(ops[1:], 2):
        if op not in ("UPDATE", "DELETE"):
            return f"its version {number} is {op!r}; after ADD come UPDATE and DELETE"
        if op == "DELETE" and number < len(ops):
            return f"its version {number} is DELETE and not the last one"
    return ""


def _operations(command: ImportRequested, vector: bytes | None) -> list[Operation]:
    found: list[Operation] = []
    for number, version in enumerate(command.versions, 1):
        last = number == len(command.versions)
        found.append(
            Operation(
                op=version.op,
                memory_id=command.memory_id,
                version=number,
                text=version.text,
                scope=replace(command.scope, actor_id=version.actor_id or command.scope.actor_id),
                previous_text=found[-1].text if found else None,
                role=version.role,
                metadata=version.metadata,
                said_at=version.at,
                vector=vector if last else None,
                kind=version.kind,
                pending=version.pending and last,
                when=version.when,
            )
        )
    return found
