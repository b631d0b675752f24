"""An import as it runs: a batch at a time, with its progress, and a report of what was refused, where and why."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from memfold.memory.errors import MemfoldError
from memfold.memory.imported import checked_import
from memfold.memory.scopes import checked_scope
from memfold.replay.mem0_store import Offered
from memfold.schemas.records import Scope
from memfold.serve.progress_line import shown_line
from memfold.synchronous import Memory

BATCH = 200
"""Memories that are in the log before any is waited for."""
Whose = tuple[str | None, str | None, str | None]


@dataclass(slots=True)
class Report:
    """What became of all that was offered; `refused` and `differing` are {where, reason}."""

    imported: int = 0
    there_before: int = 0
    degraded: int = 0
    refused: list[dict[str, str]] = field(default_factory=list)
    differing: list[dict[str, str]] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        return asdict(self)

    def add(self, brought: dict[str, Any], batch: list[Offered]) -> None:
        self.imported += brought["imported"]
        self.there_before += brought["there_before"]
        self.degraded += brought["degraded"]
        for told, lines in ((self.refused, "refused"), (self.differing, "differing")):
            told += [{"where": batch[one["place"]].place, "reason": one["reason"]} for one in brought[lines]]

    def sound(self, offered: Iterable[Offered]) -> Iterator[Offered]:
        """Those that can be read at all; the others are refused."""
        for one in offered:
            if one.flaw:
                self.refused.append({"where": one.place, "reason": one.flaw})
            else:
                yield one


def import_offered(
    memory: Memory, offered: Iterable[Offered], source: str, whose: Whose, quiet: bool
) -> Report:
    """Take them in. Raises what `import_memories` raises; run again it goes on after what is in the log."""
    report, began = Report(), time.monotonic()
    names = dict(zip(("user_id", "agent_id", "run_id"), whose, strict=True))
    sound = report.sound(offered)
    with shown_line(quiet) as show:
        while batch := list(islice(sound, BATCH)):
            report.add(memory.import_memories([one.memory for one in batch], source=source, **names), batch)
            rate = report.imported / (time.monotonic() - began)
            line = f"{report.imported:,} imported ({rate:,.0f}/s), {report.there_before:,} here before, {len(report.refused):,} refused"
            show(line)
    return report


def checked_only(offered: Iterable[Offered], source: str, whose: Whose) -> Report:
    """What an import would refuse by itself, without asking what is here already."""
    report = Report()
    named = Scope(*whose) if whose == (None, None, None) else checked_scope(*whose)
    owner = None if named == Scope() else named
    for one in report.sound(offered):
        try:
            checked_import(one.memory, source, owner)
            report.imported += 1
        except MemfoldError as wrong:
            report.refused.append({"where": one.place, "reason": str(wrong)})
    return report
