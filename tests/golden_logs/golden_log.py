"""A golden log as it lies in the repository, and what memfold of today makes of it.

records.jsonl   every record of the topics, as Kafka had it
home/           archive, public half of the sealing key, seals, key store and its key (of nobody: they are for these tests)
answers.json    what was answered when it was written
digests.json    of the projections, by shard
"""

from __future__ import annotations

import hashlib
import json
import shutil
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from memfold import Memory
from memfold.projections.archive_source import ArchiveSource
from memfold.schemas.partitions import KEPT
from memfold.schemas.records import LogRecord
from memfold.serve.pasts import past_at
from memfold.serve.replaying import rebuild_served
from memfold.serve.settings import Settings, settings_from
from tests.golden_logs.life import ALEX, BEA, ERASED, LEFT

PARTITIONS = 2


@dataclass(frozen=True, slots=True)
class GoldenLog:
    """One folder of this one."""

    folder: Path

    def records(self) -> list[LogRecord]:
        lines = (self.folder / "records.jsonl").read_text().splitlines()
        return [
            LogRecord(
                line["topic"],
                line["partition"],
                line["offset"],
                line["timestamp_ms"],
                b64decode(line["key"]),
                b64decode(line["value"]),
            )
            for line in map(json.loads, lines)
        ]

    def answers(self) -> Any:
        return json.loads((self.folder / "answers.json").read_text())

    def digests(self) -> Any:
        return json.loads((self.folder / "digests.json").read_text())

    def home(self, into: Path) -> Settings:
        """A copy to work in: what is committed is never opened for writing."""
        shutil.copytree(self.folder / "home", into)
        return settings_from(home=into, partitions=PARTITIONS)


def lines_of(records: Iterable[LogRecord]) -> str:
    return "".join(
        json.dumps(
            {
                "topic": record.topic,
                "partition": record.partition,
                "offset": record.offset,
                "timestamp_ms": record.timestamp_ms,
                "key": b64encode(record.key).decode(),
                "value": b64encode(record.value).decode(),
            }
        )
        + "\n"
        for record in records
    )


def archived(settings: Settings) -> list[LogRecord]:
    """Every record of an archive, checked, in the order of records.jsonl."""
    source = ArchiveSource(settings.folder / "archive", verify=True)
    trees = [(topic, partition) for topic in KEPT for partition in range(settings.partitions)]
    return [one for tree in trees for batch in source.batches(*tree) for one in batch]


def folded(settings: Settings) -> dict[str, str]:
    """The digest of each shard, and how its records counted, of a fold of the archive."""
    rebuilt = rebuild_served(settings, ["vector", "graph"], "archive", lambda built: None, digests=True)
    found: dict[str, str] = {}
    for one in rebuilt:
        for shard in one.shards:
            at = shard.position
            counts = f"{at.applied} applied, {at.ignored} ignored, {at.quarantined} quarantined, {at.erased} erased"
            found[f"{one.projection}/{shard.task.partition}"] = f"{shard.digest}: {counts}"
    return found


def answered(settings: Settings, folder: Path) -> dict[str, Any]:
    """What a past in `folder`, of a moment after the log's end, says of everybody in it."""
    end = max(record.timestamp_ms for record in archived(settings))
    past_at(settings, datetime.fromtimestamp(end / 1000, UTC) + timedelta(milliseconds=1), folder, "archive")
    found: dict[str, Any] = {}
    with Memory.open(folder, home=settings.folder) as memory:
        for user in (ALEX, BEA, ERASED, LEFT):
            everything = memory.get_all(user_id=user, limit=1_000)
            ids = [one["id"] for one in everything["results"]]
            found[user] = {
                "memories": everything["results"],
                "relations": memory.relations(user_id=user, ended=True),
                "history": {memory_id: memory.history(memory_id) for memory_id in ids},
            }
    return found


def recorded(today: Any, then: Any) -> Any:
    """Of today's answer what was there to record then: an answer may get new fields, and never loses one."""
    if isinstance(then, dict) and isinstance(today, dict):
        return {name: recorded(today[name], value) for name, value in then.items() if name in today}
    if isinstance(then, list) and isinstance(today, list) and len(then) == len(today):
        return [recorded(new, old) for new, old in zip(today, then, strict=True)]
    return today


def sum_of(folder: Path) -> str:
    """Of every file's name and bytes."""
    whole = hashlib.sha256()
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        whole.update(
            str(path.relative_to(folder)).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest()
        )
    return whole.hexdigest()
