"""Two graph shards of the same position side by side: which relations of which memories differ, and in what.

A subject's quads at a time. What is expected is looked up in the other indices of the served store as well: RocksDB checks a block
when it reads it, and each of Oxigraph's indices has blocks of its own. Only plain patterns are asked: over a damaged store
a SPARQL join may collect the same error for ever, and all memory with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

import pyoxigraph as ox

from memfold.projections.difference import Difference, What
from memfold.projections.graph_fold import Assertion
from memfold.projections.graph_quads import HELD, HOLDS, INVALIDATED, REIFIES, read_record
from memfold.projections.graph_terms import BASE, DESCRIPTIONS

_GRAPHS = f"{BASE}g/"
_PROV = "/prov"
_DESCRIPTIONS = ox.NamedNode(DESCRIPTIONS)
_HOLDS, _HELD, _REIFIES, _INVALIDATED = (
    ox.NamedNode(name[1:-1]) for name in (HOLDS, HELD, REIFIES, INVALIDATED)
)
DAMAGED = RuntimeError
"""What Oxigraph raises for a block whose checksum is wrong."""


def subjects_in(store: ox.Store) -> set[str]:
    """The IRIs of the subjects' graphs. Raises DAMAGED."""
    names = (name.value for name in store.named_graphs() if isinstance(name, ox.NamedNode))
    return {name.removesuffix(_PROV) for name in names if name.startswith(_GRAPHS)}


def differences(served: ox.Store, built: ox.Store) -> Iterator[Difference]:
    """What `served` holds otherwise than `built`."""
    subjects = subjects_in(built)
    # Where they cannot be told: the quads of those that are built are read anyway.
    with suppress(DAMAGED):
        subjects |= subjects_in(served)
    for subject in sorted(subjects):
        yield from of_subject(served, built, subject)


def all_unreadable(built: ox.Store) -> list[Difference]:
    """Every relation, of a shard of which nothing can be read."""
    found: list[Difference] = []
    for subject in sorted(subjects_in(built)):
        quads = _quads(built, subject)
        found += _summed(dict.fromkeys(quads, "unreadable"), _Told(quads))
    return found


def of_subject(served: ox.Store, built: ox.Store, subject: str, every_index: bool = True) -> list[Difference]:
    """The same of one subject's graph, by its IRI. Looking into every index takes ten times as long as reading the quads."""
    expected = _quads(built, subject)
    wrong: dict[ox.Quad, What] = {}
    try:
        found = _quads(served, subject)
        wrong |= dict.fromkeys(expected - found, "missing")
        wrong |= dict.fromkeys(found - expected, "extra")
        told = _Told(expected | found)
        if every_index:
            wrong |= {quad: "not indexed" for quad in expected & found if not _in_every_index(served, quad)}
    except DAMAGED:
        told = _Told(expected)
        wrong |= {quad: what for quad in expected if (what := _as_it_is(served, quad)) is not None}
    return _summed(wrong, told)


def _quads(store: ox.Store, subject: str) -> set[ox.Quad]:
    """All that is said in a subject's graphs, and of them."""
    graph = ox.NamedNode(subject)
    prov = ox.NamedNode(subject + _PROV)
    return {
        *store.quads_for_pattern(None, None, None, graph),
        *store.quads_for_pattern(None, None, None, prov),
        *store.quads_for_pattern(graph, None, None, _DESCRIPTIONS),
    }


def _in_prov(quad: ox.Quad) -> bool:
    return isinstance(quad.graph_name, ox.NamedNode) and quad.graph_name.value.endswith(_PROV)


def _as_it_is(served: ox.Store, quad: ox.Quad) -> What | None:
    try:
        own = served.quads_for_pattern(quad.subject, None, None, quad.graph_name)
        if quad not in set(own):
            return "missing"
        return None if _in_every_index(served, quad) else "not indexed"
    except DAMAGED:
        return "unreadable"


def _in_every_index(store: ox.Store, quad: ox.Quad) -> bool:
    """Whether a look into each index finds something. Raises DAMAGED. The pattern chooses the index: spog, posg, ospg, gpos, gosp."""
    s, p, o, g = quad.subject, quad.predicate, quad.object, quad.graph_name
    return all(
        next(found, None) is not None
        for found in (
            store.quads_for_pattern(s, p, o, None),
            store.quads_for_pattern(None, p, o, None),
            store.quads_for_pattern(None, None, o, None),
            store.quads_for_pattern(None, p, o, g),
            store.quads_for_pattern(None, None, o, g),
        )
    )


@dataclass(slots=True)
class _Told:
    """What quads say of assertions: their records, and which of them say a triple."""

    quads: Iterable[ox.Quad]
    records: dict[str, Assertion] = field(default_factory=dict)
    ended: dict[str, datetime] = field(default_factory=dict)
    saying: dict[tuple[object, ...], list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for quad in self.quads:
            if not isinstance(quad.subject, ox.NamedNode):
                continue
            name, said = quad.subject.value, quad.object
            if quad.predicate in (_HOLDS, _HELD) and isinstance(said, ox.Literal):
                self.records[name] = read_record(said.value)
            elif quad.predicate == _INVALIDATED and isinstance(said, ox.Literal):
                self.ended[name] = datetime.fromisoformat(said.value)
            elif quad.predicate == _REIFIES and isinstance(said, ox.Triple):
                self.saying.setdefault((said.subject, said.predicate, said.object), []).append(name)

    def of(self, quad: ox.Quad) -> str:
        """The assertion that a quad is there for; "" where nothing tells."""
        if _in_prov(quad) and isinstance(quad.subject, ox.NamedNode):
            return quad.subject.value
        said_by = self.saying.get((quad.subject, quad.predicate, quad.object), [])
        holding = [name for name in said_by if name not in self.ended]
        # A graph is described when its first assertion comes.
        known = holding or said_by or [name for name in self.records if quad.graph_name == _DESCRIPTIONS]
        return min(known, key=self._place, default="")

    def _place(self, name: str) -> tuple[int, int]:
        record = self.records.get(name)
        return (-1, 0) if record is None else record.place()


def _summed(wrong: dict[ox.Quad, What], told: _Told) -> list[Difference]:
    by_assertion: dict[str, dict[str, set[What]]] = {}
    for quad, what in wrong.items():
        kind = quad.predicate.value.rpartition("/")[2].rpartition("#")[2] if _in_prov(quad) else "triple"
        kind = "graph" if quad.graph_name == _DESCRIPTIONS else kind
        by_assertion.setdefault(told.of(quad), {}).setdefault(kind, set()).add(what)
    found = [_difference(name, fields, told) for name, fields in by_assertion.items()]
    return sorted(found, key=lambda one: (one.offset or 0, one.part))


def _difference(name: str, fields: dict[str, set[What]], told: _Told) -> Difference:
    kinds: set[What] = set().union(*fields.values())
    record = told.records.get(name)
    assertion_id = name.rpartition("/")[2] if record is None else record.assertion_id
    extra = kinds == {"extra"} and "reifies" in fields
    return Difference(
        "" if record is None else record.memory_id,
        f"relation {assertion_id}",
        _one_of(kinds),
        tuple(sorted(fields)),
        None if record is None or extra else record.offset,
        told.ended.get(name),
    )


def _one_of(kinds: set[What]) -> What:
    if len(kinds) == 1:
        return next(iter(kinds))
    return "unreadable" if "unreadable" in kinds else "differs"
