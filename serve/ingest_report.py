"""What became of all that a source gave."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memfold.memory.intake_source import SourceRecord

KEPT = 1_000
"""Refused records that are kept for the report; a source that is followed for months refuses any number."""


@dataclass(slots=True)
class IngestReport:
    """`refused` are {where, reason}, the first thousand; `decided` None where nobody waited for it."""

    source: str
    refused_to: Path | None = None
    read: int = 0
    written: int = 0
    refused_count: int = 0
    refused: list[dict[str, str]] = field(default_factory=list)
    stands: str = ""
    decided: bool | None = None

    def refuse(self, where: str, reason: str) -> None:
        self.refused_count += 1
        if len(self.refused) < KEPT:
            self.refused.append({"where": where, "reason": reason})

    def refuse_all(self, refused: list[tuple[SourceRecord, str]]) -> None:
        """Records, and why; each goes into the file for refused ones, as it came."""
        for record, reason in refused:
            self.refuse(record.where, reason)
        if self.refused_to is not None and refused:
            with open(self.refused_to, "ab", opener=_private) as file:
                for record, _ in refused:
                    file.write(record.raw.removesuffix(b"\n") + b"\n")

    def line(self, rate: float) -> str:
        return f"{self.written:,} written ({rate:,.0f}/s), {self.refused_count:,} refused, at {self.stands}"

    def told(self) -> dict[str, Any]:
        names = ("source", "read", "written", "refused_count", "refused", "stands", "decided")
        return {name: getattr(self, name) for name in names}


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
