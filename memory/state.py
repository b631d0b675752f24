"""What is true now about one subject: the state that a decision judges by.

Loaded once from the vector projection, then folded forward with the subject's own events as they are decided, so it is never
behind the log even while the projection is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from memfold.memory.entities import Entities, entities_of
from memfold.memory.facts import FoundRelation
from memfold.memory.nearest import Nearest
from memfold.memory.ports import MemoryRow, Vectors
from memfold.memory.relating import ends_of, same_triple, sort_of
from memfold.memory.texts import same_key
from memfold.schemas.records import Clear, MemoriesDecided, Operation, RelationChange, Scope


@dataclass(frozen=True, slots=True)
class Known:
    """A current memory. `relations` are the assertions that it is evidence of and that still hold."""

    memory_id: str
    version: int
    text: str
    scope: Scope
    metadata: str = "{}"
    role: str | None = None
    vector: bytes = b""
    relations: tuple[RelationChange, ...] = ()
    pending: bool = False
    said_at: datetime | None = None
    said: str = ""
    said_count: int = 0


MOST_ENDED = 20
"""Memories that may have said what is said to be over; more than these are not looked at."""
HEARD = 1_000
"""Items of a subject that are remembered as heard, beside those that memories carry with them."""


@dataclass(slots=True)
class SubjectState:
    """The current memories of one subject."""

    memories: dict[str, Known] = field(default_factory=dict)
    entities: Entities = field(default_factory=Entities)
    model: str = ""
    """Whose vectors the memories have."""
    _by_text: dict[str, dict[str, None]] = field(default_factory=dict)
    _by_said: dict[str, dict[str, None]] = field(default_factory=dict)
    _heard: dict[str, dict[str, int]] = field(default_factory=dict)
    _nearest: Nearest | None = None
    _bare: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[MemoryRow], model: str = "") -> SubjectState:
        state = cls(model=model)
        for row in rows:
            state._put(
                Known(
                    row.memory_id,
                    row.version,
                    row.text,
                    row.scope,
                    row.metadata,
                    row.role,
                    row.vector,
                    tuple(row.relations),
                    row.pending,
                    row.updated_at,
                    row.said,
                    row.said_count,
                )
            )
        return state

    def _put(self, known: Known) -> None:
        self._drop(known.memory_id)
        self.memories[known.memory_id] = known
        self._by_text.setdefault(same_key(known.text), {})[known.memory_id] = None
        if known.said:
            self._by_said.setdefault(known.said, {})[known.memory_id] = None
        for held in known.relations:
            self.entities.put(held)
        if self._nearest is not None:
            self._nearest.put(known.memory_id, known.vector)

    def _drop(self, memory_id: str) -> None:
        known = self.memories.pop(memory_id, None)
        self._bare.pop(memory_id, None)
        if known is not None:
            if self._nearest is not None:
                self._nearest.drop(memory_id)
            _forget(self._by_text, same_key(known.text), memory_id)
            if known.said:
                _forget(self._by_said, known.said, memory_id)
            for held in known.relations:
                self.entities.drop(held)

    def repeat_of(self, text: str, scope: Scope, hidden: Collection[str] = ()) -> Known | None:
        """The memory of exactly this scope that says the same, if there is one that is not hidden."""
        for memory_id in self._by_text.get(same_key(text), ()):
            if self.memories[memory_id].scope == scope and memory_id not in hidden:
                return self.memories[memory_id]
        return None

    def heard(self, said: str) -> list[Known] | None:
        """What an item that says this has come to, if it was heard before and all of that is still so; else None."""
        remembered = self._heard.get(said)
        if remembered is None:
            found = [self.memories[memory_id] for memory_id in self._by_said.get(said, ())]
            return found if found and found[0].said_count == len(found) else None
        known = [self.memories.get(memory_id) for memory_id in remembered]
        still = [one for one in known if one is not None and one.version == remembered[one.memory_id]]
        return still if len(still) == len(remembered) else None

    def hear(self, said: str, memory_ids: Iterable[str]) -> None:
        """Remember what an item has come to, also where that is nothing: it is not part of the fold, and need not last."""
        self._heard.pop(said, None)
        self._heard[said] = {
            name: self.memories[name].version for name in memory_ids if name in self.memories
        }
        if len(self._heard) > HEARD:
            del self._heard[next(iter(self._heard))]

    def forget_heard(self) -> None:
        """After what was heard, or what it was judged by, was taken back."""
        self._heard.clear()

    def go_over(self, model: str, vectors: Mapping[tuple[str, int], bytes]) -> None:
        """Another model's vectors instead, by memory and version; a memory that gets none waits in `bare` for `embed`."""
        self.model, self._nearest = model, None
        for known in list(self.memories.values()):
            if known.vector or known.memory_id in self._bare:
                vector = vectors.get((known.memory_id, known.version), b"")
                self._give(known, vector)

    def bare(self) -> list[Known]:
        """Memories whose vector was another model's; nothing may be compared with them before `embed` gave them one."""
        return [self.memories[memory_id] for memory_id in self._bare]

    def embed(self, known: Sequence[Known], vectors: Sequence[bytes]) -> None:
        """Give memories their vectors, unless they have changed since."""
        for one, vector in zip(known, vectors, strict=True):
            if self.memories.get(one.memory_id) is one:
                self._give(one, vector)

    def _give(self, known: Known, vector: bytes) -> None:
        self.memories[known.memory_id] = replace(known, vector=vector)
        if vector:
            self._bare.pop(known.memory_id, None)
            if self._nearest is not None:
                self._nearest.put(known.memory_id, vector)
        else:
            self._bare[known.memory_id] = None

    def pending(self, scope: Scope) -> list[Known]:
        """What was kept as it was said because a model had failed, inside the scope, oldest first."""
        return [known for known in self.memories.values() if known.pending and scope.covers(known.scope)]

    def holding(self, entity: str) -> list[RelationChange]:
        """The relations that hold and name the entity."""
        held = (relation for known in self.memories.values() for relation in known.relations)
        return [relation for relation in held if entity in entities_of(relation)]

    def nearest(
        self, vectors: Vectors, scope: Scope, count: int, hidden: Collection[str] = ()
    ) -> list[list[tuple[Known, float]]]:
        """For each row of `vectors`, up to `count` memories inside the scope with their cosine, best first."""
        if self._nearest is None:
            # Only those that infer ask for it; as-said traffic never pays for the matrix.
            self._nearest = Nearest()
            for known in self.memories.values():
                self._nearest.put(known.memory_id, known.vector)

        def shown(memory_id: str) -> bool:
            return memory_id not in hidden and scope.covers(self.memories[memory_id].scope)

        inside = self._nearest.best(vectors, shown, count)
        return [[(self.memories[memory_id], score) for memory_id, score in one] for one in inside]

    def related(
        self, relations: Sequence[FoundRelation], scope: Scope, count: int, hidden: Collection[str] = ()
    ) -> list[Known]:
        """Memories inside the scope that hold a relation that is said to end, then up to `count` that hold one of the same source
        and sort; the newest first.

        What contradicts a fact is often not near it in meaning: "I live in Oslo" and "I moved to Bergen" share no word.
        """
        wanted = {(same_key(relation.source), sort_of(relation.relationship)) for relation in relations}
        over = [ends_of(relation, self.entities) for relation in relations if relation.ends]
        ended: list[Known] = []
        related: list[Known] = []
        for known in reversed(self.memories.values()) if wanted else ():
            if known.memory_id in hidden or not scope.covers(known.scope):
                continue
            if any(same_triple(end, held) for end in over for held in known.relations):
                ended.append(known)
            elif any(
                (same_key(held.source), sort_of(held.relationship)) in wanted for held in known.relations
            ):
                related.append(known)
        return ended[:MOST_ENDED] + related[:count]

    def fold(self, body: MemoriesDecided) -> None:
        """Apply one of the subject's own events."""
        for clear in body.clears:
            self.clear(clear)
        for operation in body.operations:
            self.operate(operation)
        for change in body.relations:
            self.relate(change)

    def clear(self, clear: Clear) -> None:
        inside = [
            m.memory_id for m in self.memories.values() if clear.whole_tenant or clear.scope.covers(m.scope)
        ]
        for memory_id in inside:
            self._drop(memory_id)

    def operate(self, done: Operation) -> None:
        if done.op == "DELETE":
            self._drop(done.memory_id)
        elif done.op in ("ADD", "UPDATE", "RESTORE"):
            before = self.memories.get(done.memory_id)
            relations = before.relations if before else ()
            vector = done.vector or b""
            self._put(
                Known(
                    done.memory_id,
                    done.version,
                    done.text,
                    done.scope,
                    done.metadata,
                    done.role,
                    vector,
                    relations,
                    done.pending,
                    done.said_at,
                    done.said,
                    done.said_count,
                )
            )

    def relate(self, change: RelationChange) -> None:
        known = self.memories.get(change.memory_id)
        if known is None:
            return
        for held in known.relations:
            if held.assertion_id == change.assertion_id:
                self.entities.drop(held)
        kept = tuple(r for r in known.relations if r.assertion_id != change.assertion_id)
        if change.op == "ASSERT":
            kept = (*kept, change)
            self.entities.put(change)
        self.memories[change.memory_id] = replace(known, relations=kept)


def _forget(index: dict[str, dict[str, None]], key: str, memory_id: str) -> None:
    del index[key][memory_id]
    if not index[key]:
        del index[key]
