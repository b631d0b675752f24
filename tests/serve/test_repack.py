"""`memfold audit repack`: fewer files, the same log; what a worker has is left to it."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memfold.projections import archive
from memfold.projections.archive import ArchiveShard
from memfold.projections.archive_source import ArchiveSource
from memfold.schemas.partitions import COMMANDS, EVENTS
from memfold.schemas.records import LogRecord
from memfold.serve.cli_whole import app


def test_repack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "SMALL_ROWS", 0)
    for topic in (COMMANDS, EVENTS):
        with closing(ArchiveShard(tmp_path / "archive", topic, 0)) as shard:
            for n in range(12):
                shard.append([LogRecord(topic, 0, n, n, b"", b"%d" % n)])
    before = ArchiveSource(tmp_path / "archive").digest(EVENTS, 0)
    with closing(ArchiveShard(tmp_path / "archive", COMMANDS, 0)):
        result = CliRunner().invoke(app, ["audit", "repack", "--home", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "left to its worker" in result.output
    assert ArchiveSource(tmp_path / "archive", verify=True).digest(EVENTS, 0) == before
    again = CliRunner().invoke(app, ["audit", "repack", "--home", str(tmp_path), "--json"])
    assert json.loads(again.stdout) == [
        {"topic": COMMANDS, "partition": 0, "before": 12, "after": 1},
        {"topic": EVENTS, "partition": 0, "before": 1, "after": 1},
    ]
