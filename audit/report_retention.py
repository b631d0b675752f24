"""Report `retention`: what is kept of whom and since when, how far it is sealed, and what did not verify."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memfold.audit.bounds import Bounds
from memfold.audit.checkpoints import TreeName
from memfold.audit.findings import Finding
from memfold.audit.full_log import FullLog
from memfold.audit.report import Report, Table, table_of, window_of
from memfold.audit.seal_files import SealFiles
from memfold.audit.seal_key import seal_verifier
from memfold.audit.snapshot import Snapshot
from memfold.audit.snapshots import Snapshots
from memfold.audit.verifying import Evidence, verify
from memfold.schemas.partitions import KEPT

_RECORDS = """
SELECT type, 'memfold.events' AS topic, subject, time FROM events UNION ALL SELECT type, 'memfold.commands', subject, time FROM commands
"""
_PROCESSED = f"SELECT type, count(*) AS records, min(time) AS first, max(time) AS last FROM ({_RECORDS}) GROUP BY ALL ORDER BY type"
_WHOSE = f"""
SELECT s.kind, coalesce(s.id, 'erased') AS id, r.records, coalesce(m.memories, 0) AS memories, r.first, r.last FROM
  (SELECT subject, count(*) AS records, min(time) AS first, max(time) AS last FROM ({_RECORDS}) GROUP BY subject) r
  LEFT JOIN subjects s USING (subject) LEFT JOIN (SELECT subject, count(*) AS memories FROM memories GROUP BY subject) m USING (subject)
ORDER BY s.kind, id
"""
_PUT_ASIDE = "SELECT reason, count(*) AS records, max(quarantined_at) AS last FROM quarantine GROUP BY ALL ORDER BY records DESC"


def retention_report(log: FullLog, seals: Path, bounds: Bounds) -> Report:
    """Verifies the archive against the seals (hashes, positions, signatures; nothing is opened for that) as it is made.

    Raises as `changes_report`, and NoteRefused where nothing was sealed yet.
    """
    files, verifier = SealFiles(seals), seal_verifier(seals)
    heads = files.newest_heads(verifier)
    sealed = {head.tree: head.size for head in heads.heads} if heads else {}
    trees = [
        row
        for topic, records in zip(KEPT, (log.commands, log.events, log.access), strict=True)
        for row in _trees(records, topic, sealed)
    ]
    verified = verify(Evidence(log.archive, seals, log.partitions, verifier, records=False))
    waiting = [row[4] for row in trees if row[4] is not None]
    about = [
        *window_of(bounds),
        ("log", str(verifier)),
        ("sealed until (UTC)", datetime.fromtimestamp(heads.time / 1000, UTC) if heads else "never"),
        ("records not yet sealed", sum(row[3] for row in trees)),
        ("the oldest of them is from (UTC)", min(waiting, default="none")),
        (
            "verified as this was made",
            f"{verified.counts.archived} archived records, {verified.counts.seals} checkpoints",
        ),
    ]
    asked = log.several([_PROCESSED, _WHOSE, _PUT_ASIDE], bounds)
    processed, whose, put_aside = (answer.rows for answer in asked)
    failed = len(verified.findings)
    bad = [f"Failed verifications: {failed}. Run memfold audit verify, which says more."] if failed else []
    return Report("retention", "What is kept, and how far it is proven", about, [
        table_of("processing", "Records of processing", ["type", "records", "first", "last"], processed),
        table_of("whose", "Of whom", ["kind", "id", "records", "memories", "first", "last"], whose),
        Table("seals", "Sealed, and not yet sealed", ["tree", "records", "sealed", "unsealed", "oldest unsealed"], trees),
        Table("findings", "Failed verifications", ["kind", "tree", "offset", "what"], [_finding(one) for one in verified.findings]),
        table_of("quarantine", "Put aside because it could not be trusted or read", ["reason", "records", "last"], put_aside),
    ], bad, [
        "Records stay as long as the topics and the archive keep them; a person who was erased is counted as erased, and cannot be opened.",
        "Seals, findings and what was put aside are of the whole deployment, whatever user or window was asked for.",
    ])  # fmt: skip


def _trees(records: Snapshots, topic: str, sealed: Mapping[TreeName, int]) -> list[list[Any]]:
    """[tree, records, sealed, unsealed, time of the oldest unsealed record] of each partition that has records."""

    def rows(snapshot: Snapshot) -> list[list[Any]]:
        found: list[list[Any]] = []
        for partition, end in enumerate(snapshot.end()):
            size = sealed.get(TreeName(topic, partition), 0)
            behind = snapshot.records(partition, [size]) if size <= end else []
            oldest = datetime.fromtimestamp(behind[0].timestamp_ms / 1000, UTC) if behind else None
            if end >= 0:
                found.append([f"{topic}/{partition}", end + 1, size, max(0, end + 1 - size), oldest])
        return found

    return records.ask(rows)


def _finding(one: Finding) -> list[Any]:
    tree = f"{one.topic}/{one.partition}" if one.topic else None
    return [one.kind, tree, one.offset if one.offset >= 0 else None, one.said]
