"""The ports: what the core asks of the outside. Each has five methods or fewer and one contract suite in tests/.

What no port promises: that two calls see the same moment. A write's `Receipt` and `WriteLog.outcome` are how a caller
waits for its own write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from memfold.memory.facts import Candidate, Decisions, Extraction, Utterances
from memfold.memory.filters import Filter
from memfold.schemas.records import Command, Event, MemoriesDecided, RelationChange, Scope

Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Texts to unit vectors. Promises the same vector for the same text; raises ModelUnavailable."""

    @property
    def model(self) -> str: ...
    @property
    def dimensions(self) -> int: ...
    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Rows of length 1, shape (len(texts), dimensions), float32; an empty input gives shape (0, dimensions)."""
        ...


class FactExtractor(Protocol):
    """What is worth keeping of what was said. Raises ModelUnavailable; never returns half an answer."""

    async def extract(self, said: Utterances) -> Extraction: ...


class DecisionMaker(Protocol):
    """ADD, UPDATE, DELETE or NONE for each candidate. May name only memories that were shown with it. Raises ModelUnavailable."""

    async def decide(self, candidates: Sequence[Candidate]) -> Decisions: ...


class MemoryRow(Struct, frozen=True):
    """One version of a memory in the vector projection. `valid_to` None: the current one. Vectors are float16 bytes."""

    tenant: str
    subject: str
    memory_id: str
    version: int
    text: str
    scope: Scope
    created_at: datetime
    updated_at: datetime
    valid_from: datetime
    valid_to: datetime | None = None
    role: str | None = None
    metadata: str = "{}"
    relations: list[RelationChange] = []
    vector: bytes = b""
    kind: str = ""
    pending: bool = False
    said: str = ""
    said_count: int = 0
    when: str = ""
    added_offset: int = -1
    """Offset of the event that added the memory; with `ordinal` inside it, the order in which memories came."""
    ordinal: int = 0


class Hit(Struct, frozen=True):
    """A row and its cosine with the query, -1 to 1."""

    row: MemoryRow
    score: float


class MemoryIndex(Protocol):
    """Reads the served generation of the vector projection. `subject` None means every subject of the tenant."""

    async def search(
        self,
        tenant: str,
        subject: str | None,
        scope: Scope,
        vector: Vectors,
        limit: int,
        only: Filter | None = None,
    ) -> list[Hit]:
        """The nearest current rows inside the scope that pass `only`, exact, best first."""
        ...

    async def current(
        self,
        tenant: str,
        subject: str | None,
        scope: Scope,
        limit: int | None,
        only: Filter | None = None,
    ) -> list[MemoryRow]:
        """Current rows inside the scope that pass `only`, oldest first."""
        ...

    async def texts(self, tenant: str, subject: str) -> list[tuple[str, Scope]]:
        """Text and scope of each current memory of a subject, in no order: a twentieth of its rows."""
        ...

    async def find(self, tenant: str, memory_ids: Sequence[str]) -> list[MemoryRow]:
        """The current rows of these memories; those that are unknown or deleted are left out."""
        ...

    async def pending(self, tenant: str) -> dict[str, int]:
        """How many current memories of each subject were kept as they were said because a model had failed."""
        ...

    async def position(self, partition: int) -> int:
        """Offset of the last event that a reader sees, -1 for none."""
        ...


class Within(Struct, frozen=True):
    """Whose memories: of these subjects, agents and runs; None means all of the tenant's."""

    subjects: tuple[str, ...] | None = None
    agents: tuple[str, ...] | None = None
    runs: tuple[str, ...] | None = None


class Holders(Protocol):
    """Who has had an id, among all that this deployment keeps: what decides whether an import may bring it."""

    async def holders(self, memory_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """(tenant, subject) of each that any version in the served generation has, also one that is over; new ids are left out."""
        ...


Seen = Mapping[int, object]
"""What a reader has seen so far; only the feed that gave it can read it."""


class Changes(Struct, frozen=True):
    """Rows that are new or changed, ids of memories that are gone, and what is seen now. `whole`: nothing seen before counts."""

    rows: list[MemoryRow]
    gone: list[str]
    seen: Seen
    whole: bool


class MemoryFeed(Protocol):
    """Follows the current memories of a scope, so that a reader may keep them."""

    async def changes(self, tenant: str, within: Within, since: Seen | None, most: int) -> Changes | None:
        """What changed since `since`, all rows with their vectors; None when everything is asked for and is more than `most` rows."""
        ...


class Relation(Struct, frozen=True, gc=False):
    """A relation that holds now, or held once, with the memory that is its evidence."""

    source: str
    source_type: str
    relationship: str
    target: str
    target_type: str
    memory_id: str
    assertion_id: str
    confidence: float
    since: datetime
    source_entity: str = ""
    target_entity: str = ""
    valid_from: datetime | None = None
    """When it began to be true, if that was said; `since` is when it was learnt."""
    valid_to: datetime | None = None
    """When it stopped being true, if that was said; `until` is when its end was learnt, None while it holds."""
    until: datetime | None = None


class About(Struct, frozen=True):
    """Which relations are asked for: those that rest on one of these memories, or name one of these words (casefolded)."""

    memory_ids: list[str] = []
    words: list[str] = []


class Walk(Struct, frozen=True):
    """Which relations are asked for: up to `hops` from an entity (an id, or a name), or all of them without one.

    The walk takes only relations of `relationship`, if given, that held at `as_of` (by when they were learnt) and were true at
    `valid_at` (by what was said); `ended` adds those that hold no longer.
    """

    entity: str | None = None
    relationship: str | None = None
    hops: int = 1
    as_of: datetime | None = None
    valid_at: datetime | None = None
    ended: bool = False
    limit: int = 100


class Near(Struct, frozen=True):
    """A relation, and how many relations it lies from the entity: 1 for its own, 0 if no entity was asked for."""

    relation: Relation
    distance: int


class Around(Struct, frozen=True):
    """What a walk found: the ids that its entity meant, relations nearest first, and whether there are more."""

    entities: list[str]
    relations: list[Near]
    more: bool


class RelationGraph(Protocol):
    """Reads the served generation of the graph projection."""

    async def relations(
        self,
        tenant: str,
        subject: str | None,
        scope: Scope,
        relationship: str | None = None,
        about: About | None = None,
        limit: int = 1000,
        as_of: datetime | None = None,
    ) -> list[Relation]:
        """Relations that hold now inside the scope, oldest first; of one relationship, and about something, if given.

        `as_of`: those that held at this moment, by when the log learnt of them and of their end.
        """
        ...

    async def around(self, tenant: str, subject: str | None, scope: Scope, walk: Walk) -> Around:
        """Relations inside the scope, nearest first and oldest first among those."""
        ...


class GraphExport(Protocol):
    """Gives a subject's graph away as RDF."""

    async def export(self, tenant: str, subject: str, scope: Scope, format: str) -> str:
        """What holds inside the scope, and every assertion there ever was with its provenance; of an unknown subject nothing."""
        ...


class SparqlAsked(Struct, frozen=True):
    """A query, the values of its variables, and what it may take: seconds, and rows of the answer."""

    query: str
    parameters: Mapping[str, Any]
    timeout: float
    limit: int


class SparqlEngine(Protocol):
    """Answers read-only SPARQL over an export, and cannot be made to do anything else."""

    async def answer(self, tenant: str, subject: str, dataset: str, asked: SparqlAsked) -> dict[str, Any]:
        """SPARQL JSON. `dataset`: the export of this subject as n-quads. Raises InvalidInput, InvalidType, QueryStopped."""
        ...


class Receipt(Struct, frozen=True):
    """Where a command stands in memfold.commands. `signed`: the log's signature under it, as a note, where receipts are signed."""

    command_id: str
    partition: int
    offset: int
    signed: str = ""


class WriteLog(Protocol):
    """Appends commands and waits for what became of them.

    Promises that an appended command is durable and counts once per command id. Does not promise that `outcome` comes: it
    raises NotVisibleYet after its time.
    """

    async def append(self, tenant: str, subject: str, command: Command, command_id: str) -> Receipt:
        """Raises BrokerUnreachable or NotWritten (nothing was written), or WriteUnknown (safe to repeat with the same id)."""
        ...

    async def append_to_all(
        self, tenant: str, subject: str, command: Command, command_id: str
    ) -> list[Receipt]:
        """The same command to every partition, each under its own id derived from `command_id`. Raises as `append`."""
        ...

    async def outcome(self, receipt: Receipt, timeout: float) -> MemoriesDecided:
        """What became of the command, once it can be seen in every projection that queries read."""
        ...


class HistoryLog(Protocol):
    """Answers from the full log, archived or not."""

    async def events_of(self, tenant: str, memory_id: str) -> list[Event]:
        """Every opened event that touches the memory, in log order; empty for an unknown one."""
        ...

    async def command_of(self, event: Event) -> Command | None:
        """The command that an event answered; None if it can no longer be opened."""
        ...


class SubjectPast(Protocol):
    """Everything that was decided of one subject, out of the full log."""

    async def events_of(self, tenant: str, subject: str) -> list[Event]:
        """The subject's events and the clears of its tenant, those that count, in log order; what can no longer be opened is left out.

        Raises TooMuchToOpen, UnknownKey, ShardDamaged, LogTruncated where they cannot be told.
        """
        ...


class SubjectDirectory(Protocol):
    """Which random id stands for whom."""

    def subject_of(self, tenant: str, kind: str, name: str) -> str:
        """The subject's id; made, with its key, when it is new. `kind` is user, agent, run or tenant."""
        ...

    def known_subject(self, tenant: str, kind: str, name: str) -> str | None: ...
