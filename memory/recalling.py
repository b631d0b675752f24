"""The verbs that ask: by id, by scope, by what is meant and by relation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from memfold.memory.corpora import Corpora
from memfold.memory.corpus import Corpus, corpus_of
from memfold.memory.errors import InvalidInput, InvalidType, ShardDamaged
from memfold.memory.filters import All, Condition, conjuncts
from memfold.memory.following import pinned
from memfold.memory.framing import embedded
from memfold.memory.matching import matches
from memfold.memory.noting import note
from memfold.memory.ports import (
    About,
    Embedder,
    MemoryIndex,
    MemoryRow,
    Relation,
    RelationGraph,
    SubjectDirectory,
    Within,
)
from memfold.memory.questions import Question
from memfold.memory.ranking import best, parts_of
from memfold.memory.reach import Reach
from memfold.memory.reranking import Reordered, Reranking
from memfold.memory.weights import Weights
from memfold.memory.wide import CANDIDATES, Asked, NearestOnly, Searched, WideIndex
from memfold.memory.wording import words
from memfold.memory.writing import checked_memory_id
from memfold.schemas.records import Scope

MAX_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Recalled:
    """A memory that a search found, its score, 0 to 1, and what each part added to the evidence."""

    row: MemoryRow
    score: float
    parts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Found:
    """What a search gives: memories, best first, and the relations that belong to them or to the words asked for."""

    hits: list[Recalled]
    relations: list[Relation]
    searched: Searched
    reordered: Reordered | None = None
    """What the re-ranker said, if it was asked."""


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Hits by the ranking alone, the corpus that they are from, which of it passes the filter, and how it was looked for."""

    hits: list[Recalled]
    corpus: Corpus
    inside: NDArray[np.bool_]
    searched: Searched
    held: bool


@dataclass(frozen=True, slots=True)
class Recalling:
    """Reads of one tenant."""

    tenant: str
    index: MemoryIndex
    corpora: Corpora
    graph: RelationGraph
    subjects: SubjectDirectory
    embedder: Embedder
    weights: Weights = field(default_factory=Weights)
    reranking: Reranking | None = None
    wide: WideIndex | None = None
    """Of scopes that are too large to hold; None: `index` has to do."""

    async def get(self, memory_id: object) -> MemoryRow | None:
        rows = await self.index.find(self.tenant, [checked_memory_id(memory_id)])
        _note(rows)
        return rows[0] if rows else None

    async def get_all(self, reach: Reach, limit: int) -> tuple[list[MemoryRow], list[Relation]]:
        """Current memories that pass, oldest first, and the relations that rest on them."""
        within = self._within(reach)
        if within is None:
            return [], []
        rows = await self.index.current(self.tenant, _only(within), reach.scope(), limit, reach.tree)
        relations = await self._related(reach, within, None, None)
        shown = {row.memory_id for row in rows}
        given = [one for one in relations if reach.only_scope() or one.memory_id in shown]
        _note(rows, given, _only(within))
        return rows, given

    async def search(
        self, query: str, reach: Reach, limit: int, threshold: float, rerank: bool | None = None
    ) -> Found:
        """The best memories that pass the filter, by every part of the ranking; what does not pass is never a candidate.

        `rerank` None: if a re-ranker is configured. Raises InvalidInput where it is wanted and there is none.
        """
        reranking = self._second_look(rerank)
        within = self._within(reach)
        if within is None:
            return Found([], [], Searched(0))
        most = limit if reranking is None else max(limit, reranking.top)
        ranked = await self._ranked_by_one_model(query, reach, most, threshold, within)
        hits, reordered = ranked.hits, None
        if reranking is not None and hits:
            best_first, rest = hits[: reranking.top], hits[reranking.top :]
            reordered = await reranking.order(query, [hit.row.text for hit in best_first])
            hits = _put_in_order(best_first, reordered) + rest
        hits = hits[:limit]
        if within.subjects is None and not ranked.held:
            # Relations of a whole tenant are too many to look through: those of whom the memories found belong to.
            within = Within(tuple(dict.fromkeys(hit.row.subject for hit in hits)))
        relations = await self._relations(query, hits, reach, within, ranked.corpus, ranked.inside, limit)
        _note([hit.row for hit in hits], relations, _only(within))
        return Found(hits, relations, ranked.searched, reordered)

    def _second_look(self, rerank: bool | None) -> Reranking | None:
        if rerank and self.reranking is None:
            raise InvalidInput(
                "rerank is asked for and no re-ranker is configured; set MEMFOLD_RERANKER__PROVIDER=llm, or leave it out"
            )
        return None if rerank is False else self.reranking

    async def _ranked_by_one_model(
        self, query: str, reach: Reach, limit: int, threshold: float, within: Within
    ) -> _Ranked:
        """Question and memories embedded by the same model, also while another one comes to be served."""
        while True:
            embedder = pinned(self.embedder)
            try:
                found = await self._ranked(query, reach, limit, threshold, within, embedder)
            except (InvalidInput, ShardDamaged):
                if pinned(self.embedder) is embedder:
                    raise
                continue
            if pinned(self.embedder) is embedder:
                return found

    async def _ranked(
        self, query: str, reach: Reach, limit: int, threshold: float, within: Within, embedder: Embedder
    ) -> _Ranked:
        corpus = await self.corpora.of(within)
        held, searched = corpus is not None, Searched(0 if corpus is None else len(corpus))
        if corpus is None:
            corpus, searched = await self._candidates(query, reach, within, limit, embedder)
        question = Question.read(query, corpus, datetime.now(UTC).date())
        (vector,) = await embedder.embed([embedded(question.bare)])
        inside = _inside(reach, within, corpus)
        ranked = best(parts_of(question, vector, corpus), self.weights, inside, limit, threshold)
        hits = [Recalled(corpus.rows[one.place], one.score, one.parts) for one in ranked]
        return _Ranked(hits, corpus, inside, searched, held)

    async def _candidates(
        self, query: str, reach: Reach, within: Within, limit: int, embedder: Embedder
    ) -> tuple[Corpus, Searched]:
        """The part of a large scope that is ranked: what is near in meaning, and what has its words."""
        (vector,) = await embedder.embed([embedded(query)])
        asked = Asked(query, vector, reach.tree)
        where = self.tenant, _only(within), reach.scope()
        wide = self.wide or NearestOnly(self.index)
        found = await wide.candidates(*where, asked, max(CANDIDATES, limit))
        return corpus_of(found.rows, {}), Searched(len(found.rows), found.meaning, found.words)

    async def _relations(
        self,
        query: str,
        hits: list[Recalled],
        reach: Reach,
        within: Within,
        corpus: Corpus,
        inside: NDArray[np.bool_],
        limit: int,
    ) -> list[Relation]:
        """Those of the relationship that the filter asks for; else those of the memories found and of the words asked for."""
        asked = set(words(query))
        about = None if reach.relationships else About([hit.row.memory_id for hit in hits], sorted(asked))
        wanted: tuple[str | None, ...] = reach.relationships or (None,)
        found = [one for name in wanted for one in await self._related(reach, within, name, about)]
        if not reach.only_scope():
            passing = {corpus.rows[place].memory_id for place in np.flatnonzero(inside)}
            found = [relation for relation in found if relation.memory_id in passing]
        return _named_first(found, asked)[:limit]

    async def _related(
        self, reach: Reach, within: Within, relationship: str | None, about: About | None
    ) -> list[Relation]:
        """Oldest first. Each subject, agent and run is asked for by itself: a whole tenant's would fill the limit before the filter."""
        everybody: tuple[str | None, ...] = (None,)
        found = [
            relation
            for subject in (everybody if within.subjects is None else within.subjects)
            for agent in reach.agents or (None,)
            for run in reach.runs or (None,)
            for relation in await self.graph.relations(
                self.tenant, subject, Scope(None, agent, run), relationship, about
            )
        ]
        return sorted(found, key=lambda relation: relation.since)

    def _within(self, reach: Reach) -> Within | None:
        """Where the memories are; None when nothing can be there. An agent's memories may belong to many users."""
        if reach.users is None:
            return Within(None, reach.agents, reach.runs)
        known = [self.subjects.known_subject(self.tenant, "user", user) for user in reach.users]
        subjects = tuple(sorted(subject for subject in known if subject is not None))
        for subject in subjects:
            note(subject)
        return Within(subjects) if subjects else None


def _note(rows: Iterable[MemoryRow], relations: Iterable[Relation] = (), subject: str | None = None) -> None:
    """What an answer gives; `subject` is whose all of its relations are, if that is known."""
    for row in rows:
        note(row.subject, [row.memory_id])
    if relations:
        note(subject, (relation.memory_id for relation in relations))


def _only(within: Within) -> str | None:
    """The one subject, None when there may be several."""
    return within.subjects[0] if within.subjects is not None and len(within.subjects) == 1 else None


def _inside(reach: Reach, within: Within, corpus: Corpus) -> NDArray[np.bool_]:
    """Which memories pass; what they were read by is not asked again."""
    read_by = {"user_id": within.subjects, "agent_id": within.agents, "run_id": within.runs}
    asked = [
        part
        for part in conjuncts(reach.tree)
        if not (
            isinstance(part, Condition)
            and part.operator in ("eq", "in")
            and read_by.get(part.field) is not None
        )
    ]
    if not asked:
        return np.ones(len(corpus), dtype=np.bool_)
    tree = All(tuple(asked))
    return np.fromiter((matches(tree, row) for row in corpus.rows), dtype=np.bool_, count=len(corpus))


def _put_in_order(hits: list[Recalled], reordered: Reordered) -> list[Recalled]:
    """The hits as the re-ranker wants them, its relevance beside the other parts; the score stays the ranking's."""
    if reordered.failure:
        return hits
    return [
        replace(hits[place], parts={**hits[place].parts, "reranker": reordered.relevance[place]})
        for place in reordered.places
    ]


def _named_first(relations: list[Relation], asked: set[str]) -> list[Relation]:
    """Relations whose names occur in the query before those that only rest on a memory found."""

    def unnamed(relation: Relation) -> bool:
        return asked.isdisjoint(words(f"{relation.source} {relation.target}"))

    return sorted(relations, key=unnamed)


def checked_limit(limit: object) -> int:
    """Raises InvalidType, InvalidInput."""
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise InvalidType(f"limit must be a whole number, not {limit!r}")
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"limit is {limit}; it must be between 1 and {MAX_LIMIT}")
    return limit


def checked_threshold(threshold: object) -> float:
    """A score below which a memory is left out; None is 0, which lets all pass. Raises InvalidType, InvalidInput."""
    if threshold is None:
        return 0.0
    if not isinstance(threshold, int | float) or isinstance(threshold, bool):
        raise InvalidType(f"threshold must be a number, not {threshold!r}")
    if not 0 <= threshold <= 1:
        raise InvalidInput(f"threshold is {threshold}; a score lies between 0 and 1")
    return float(threshold)
