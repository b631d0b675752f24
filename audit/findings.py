"""What a verification found: the bad records, each with its file, its position and what it affects, and what was looked at."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from memfold.audit.checkpoints import TreeName


class Finding(Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong. `offset` is the first bad record, `last` the last that may be; -1 where it is not of a record.

    `kind` is one of: file (cannot be read, or missing), value (not the archived bytes), columns (beside the value), log (Kafka differs),
    lost (gone from Kafka), root (not what was sealed), seal (signature or form), forged, schema, sequence, clock, receipt.
    """

    kind: str
    said: str
    file: str = ""
    topic: str = ""
    partition: int = -1
    offset: int = -1
    last: int = -1
    memory_ids: list[str] = []


class Counts(Struct):
    """What was looked at. `elsewhere`: stand in another partition since a repartitioning. `unarchived` and `unsealed` records are in
    the log and not yet in the archive, or under a seal."""

    records: int = 0
    archived: int = 0
    unarchived: int = 0
    sealed: int = 0
    unsealed: int = 0
    opened: int = 0
    erased: int = 0
    duplicates: int = 0
    elsewhere: int = 0
    seals: int = 0
    compared_with_log: int = 0


class Report(Struct):
    """The outcome. `ok` only where nothing at all was found."""

    findings: list[Finding] = []
    counts: Counts = msgspec.field(default_factory=Counts)
    key: str = ""
    trusted_before: int = 0

    @property
    def ok(self) -> bool:
        return not self.findings

    def add(self, kind: str, said: str, tree: TreeName | None = None, **where: Any) -> None:
        if tree is not None:
            where |= {"topic": tree.topic, "partition": tree.partition}
        self.findings.append(Finding(kind, said, **where))

    def json(self) -> dict[str, Any]:
        """As `memfold audit verify --json` prints it; the worst is not first, the order is that of the checks."""
        built: dict[str, Any] = msgspec.to_builtins(self)
        return {"ok": self.ok, **built}
