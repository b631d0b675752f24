"""Which rows a query asks for, for a table as SQL and for its tail as a test of each row: both mean the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from memfold.projections.vector_filter import CURRENT, current_at, equal, every, inside
from memfold.projections.vector_fold import micros
from memfold.projections.vector_rows import Row, scope_of
from memfold.schemas.records import Scope


@dataclass(frozen=True, slots=True)
class AsOf:
    """The versions that stand at an aware moment; None: now."""

    at: datetime | None = None

    def condition(self) -> str:
        return CURRENT if self.at is None else current_at(self.at)

    def holds(self, row: Row) -> bool:
        if self.at is None:
            return row.valid_to is None
        moment = micros(self.at)
        return row.valid_from <= moment and (row.valid_to is None or row.valid_to > moment)


@dataclass(frozen=True, slots=True)
class Which:
    """The rows inside a scope that stand. `subject` None: of every subject of the tenant."""

    tenant: str
    subject: str | None
    scope: Scope
    standing: AsOf

    def condition(self) -> str:
        of_subject = [] if self.subject is None else [equal("subject", self.subject)]
        return every(
            *of_subject, equal("tenant", self.tenant), *inside(self.scope), self.standing.condition()
        )

    def holds(self, row: Row) -> bool:
        return (
            row.tenant == self.tenant
            and self.subject in (None, row.subject)
            and self.scope.covers(scope_of(row))
            and self.standing.holds(row)
        )
