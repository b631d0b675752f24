"""The forms of a result."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.feather as feather  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from memfold.audit.result import AuditResult

TABLE = pa.table(
    {
        "text": ['a "b",\nc', None],
        "at": [datetime(2026, 3, 1), None],
        "ids": [["x", "y"], []],
        "raw": [b"\x00\xff", None],
        "n": [1, None],
    }
)


def test_rows_arrow_and_json() -> None:
    result = AuditResult(TABLE, {"erased": 1})
    assert len(result) == 2
    assert result.to_arrow() is TABLE
    assert result.rows[0]["ids"] == ["x", "y"]
    assert json.loads(result.to_json()) == [
        {"text": 'a "b",\nc', "at": "2026-03-01T00:00:00", "ids": ["x", "y"], "raw": "00ff", "n": 1},
        {"text": None, "at": None, "ids": [], "raw": None, "n": None},
    ]


def test_csv() -> None:
    read = list(csv.reader(io.StringIO(AuditResult(TABLE).to_csv(), newline="")))
    assert read == [
        ["text", "at", "ids", "raw", "n"],
        ['a "b",\nc', "2026-03-01T00:00:00", '["x", "y"]', "00ff", "1"],
        ["", "", "[]", "", ""],
    ]


def test_files(tmp_path: Path) -> None:
    result = AuditResult(TABLE)
    result.to_parquet(tmp_path / "x.parquet")
    result.to_arrow_file(tmp_path / "x.arrow")
    assert pq.read_table(tmp_path / "x.parquet").equals(TABLE)
    assert feather.read_table(tmp_path / "x.arrow").equals(TABLE)
