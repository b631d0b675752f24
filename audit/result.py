"""What audit SQL gives back: one Arrow table, and the forms that people and programs take it in."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

if TYPE_CHECKING:
    import pandas  # type: ignore[import-not-found,import-untyped,unused-ignore]


class AuditResult:
    """The rows of a query. `left_out`: how many records inside the bounds do not count, by why, if any were opened."""

    def __init__(self, table: pa.Table, left_out: dict[str, int] | None = None) -> None:
        self._table, self.left_out = table, left_out or {}

    @property
    def columns(self) -> list[str]:
        return list(self._table.column_names)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One dict a row. Of two columns with one name the last is kept; give them names with AS."""
        columns = [column.to_pylist() for column in self._table.columns]
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*columns, strict=True)]

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def to_arrow(self) -> pa.Table:
        return self._table

    def to_pandas(self) -> pandas.DataFrame:
        """Needs pandas, which memfold does not install. Raises ImportError without it."""
        return self._table.to_pandas()

    def to_json(self) -> str:
        """A list of objects; times in ISO 8601, bytes in hex."""
        return json.dumps(self.rows, ensure_ascii=False, default=_json)

    def to_csv(self) -> str:
        """With a header (RFC 4180); lists and structs as JSON in their cell, null as nothing."""
        out = io.StringIO(newline="")
        writer = csv.writer(out)
        writer.writerow(self.columns)
        for row in zip(*(column.to_pylist() for column in self._table.columns), strict=True):
            writer.writerow(_cell(value) for value in row)
        return out.getvalue()

    def to_parquet(self, path: str | Path) -> None:
        """Raises OSError."""
        pq.write_table(self._table, path, compression="zstd")

    def to_arrow_file(self, path: str | Path) -> None:
        """In Arrow's own file format (Feather V2). Raises OSError."""
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, self._table.schema) as writer:
            writer.write_table(self._table)


def _cell(value: object) -> object:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=_json)
    return value if value is None or isinstance(value, str | int | float) else _json(value)


def _json(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)
