"""What callers ask of a worker's view, and the headers of its answers: what both sides know (view_server.py, view_client.py)."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from memfold.memory.ports import About, Walk
from memfold.schemas.records import Scope

OFFSET = "X-Memfold-Offset"
HELD, OF = "X-Memfold-Partitions", "X-Memfold-Partitions-Of"
PROPOSAL = "proposal"
"""The query parameter with the name of the proposal that a worker is prepared for."""
LONGEST_WAIT = 30.0


class RelationsAsked(Struct, frozen=True):
    tenant: str
    subject: str | None
    scope: Scope
    relationship: str | None
    about: About | None
    limit: int
    as_of: datetime | None = None


class WalkAsked(Struct, frozen=True):
    tenant: str
    subject: str | None
    scope: Scope
    walk: Walk


class ExportAsked(Struct, frozen=True):
    tenant: str
    subject: str
    scope: Scope
    format: str
