"""The last `memfold audit verify` of a home: when, of how much, and what it found. A note for operators; it proves nothing."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
from msgspec import Struct

from memfold.audit.findings import Report
from memfold.projections.durable import replace_durably


class Verified(Struct, frozen=True):
    """`at`: seconds since 1970. `compared`: records that were held against Kafka; 0 where only the archive was looked at."""

    at: float
    records: int
    compared: int
    findings: int


def note_verified(home: Path, report: Report) -> None:
    """Raises OSError."""
    counts = report.counts
    found = Verified(time.time(), counts.records, counts.compared_with_log, len(report.findings))
    replace_durably(_path(home), msgspec.json.encode(found))


def last_verified(home: Path) -> Verified | None:
    """None where none ended yet, or what was noted cannot be read: then nothing is known, and it says so."""
    try:
        return msgspec.json.decode(_path(home).read_bytes(), type=Verified)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _path(home: Path) -> Path:
    return home / "verified.json"
