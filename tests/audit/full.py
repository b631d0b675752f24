"""A full log for the tests of SQL and provenance: events partly archived, in two tenants, and the questions asked over it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from memfold.audit.auditor import Auditor, Seals
from memfold.audit.face import AsyncAudit
from memfold.audit.full_log import FullLog
from memfold.audit.history import DuckDBHistory
from memfold.schemas.keystore import KeyStore
from memfold.schemas.records import LogRecord
from tests.audit.asking import archive
from tests.audit.logs import ListTail


@contextmanager
def asked(
    root: Path,
    log: Sequence[LogRecord],
    keys: KeyStore,
    tenant: str = "acme",
    *,
    archived: int = 0,
    others: Sequence[LogRecord] = (),
    limit: int = 1000,
) -> Iterator[AsyncAudit]:
    """`memory.audit` of a tenant over a log of which the first `archived` records are in the archive."""
    archive(root, log[:archived])
    tail = ListTail(log, others=others)
    with (
        closing(DuckDBHistory(root, 1, tail, keys)) as history,
        closing(FullLog(root, 1, tail, keys, keys, limit=limit)) as full,
    ):

        async def ready() -> Auditor:
            return Auditor(tenant, history, full, Seals(root / "seals", lambda: None))

        yield AsyncAudit(ready)


async def rows(audit: AsyncAudit, sql: str, **bounds: Any) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in (await audit.sql(sql, **bounds)).rows]
