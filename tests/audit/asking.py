"""A life of some memories, and how the tests ask for it: archive part of a log, then ask over the whole."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from memfold.audit.history import Answer, DuckDBHistory
from memfold.audit.versions import versions
from memfold.projections.archive import ArchiveShard
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import Clear, LogRecord, Scope
from tests.audit.logs import ListTail, Script, written
from tests.strategies import OWNERS, Owner

ALEX, KIM, OTHER_TENANT = OWNERS
WHOLE_TENANT = Owner("acme", "", "")


def archive(root: Path, log: Sequence[LogRecord], batch: int = 3) -> None:
    with closing(ArchiveShard(root, EVENTS, 0)) as shard:
        for start in range(0, len(log), batch):
            shard.append(log[start : start + batch])


async def ask(
    root: Path, log: Sequence[LogRecord], keys: KeyStore, memory_id: str, tenant: str = "acme"
) -> Answer:
    with closing(DuckDBHistory(root, 1, ListTail(log), keys)) as answers:
        return await answers.answer(tenant, memory_id)


def texts(answer: Answer, memory_id: str) -> list[tuple[str, str | None]]:
    return [(entry["event"], entry["new_memory"]) for entry in versions(answer.events, memory_id)]


LIFE = (
    Script()(KIM, written("ADD", "k", 1, "kim's"))(ALEX, written("ADD", "m", 1, "coffee"))(ALEX)
    (ALEX, written("UPDATE", "m", 2, "tea"), written("ADD", "n", 1, "walks"))
    (KIM, clears=[Clear(Scope("kim"))])
    (ALEX, written("DELETE", "n", 2, "walks"))
    (ALEX, clears=[Clear(Scope("alex"))])
    (ALEX, written("ADD", "o", 1, "new"))
    (WHOLE_TENANT, clears=[Clear(Scope(), whole_tenant=True)])
    (OTHER_TENANT, written("ADD", "z", 1, "zeta's"), clears=[Clear(Scope("alex"))]).events
)  # fmt: skip
