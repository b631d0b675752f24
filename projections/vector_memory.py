"""A version's row as queries know it."""

from __future__ import annotations

from memfold.memory.ports import MemoryRow
from memfold.projections.vector_fold import moment
from memfold.projections.vector_rows import Row, decode_relations, scope_of


def memory_row(row: Row) -> MemoryRow:
    """With its vector, b"" where it has none."""
    return MemoryRow(
        row.tenant,
        row.subject,
        row.memory_id,
        row.version,
        row.text,
        scope_of(row),
        moment(row.created_at),
        moment(row.updated_at),
        moment(row.valid_from),
        None if row.valid_to is None else moment(row.valid_to),
        row.role,
        row.metadata,
        decode_relations(row.relations),
        row.vector or b"",
        row.kind,
        row.pending,
        row.said,
        row.said_count,
        row.when,
        row.added_offset,
        row.ordinal,
    )
