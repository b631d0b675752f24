"""The digest by its written definition, worked out again row by row with `struct`."""

from __future__ import annotations

import struct
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from memfold.projections.base import Position
from memfold.projections.vector import VectorShard
from memfold.projections.vector_digest import digest
from memfold.projections.vector_rows import Row
from memfold.projections.vector_table import VectorTable
from tests.projections.shard_contract import feed
from tests.strategies import DIMENSIONS, history, unit_vector

ROW = Row(
    row_id="m:1",
    tenant="acme",
    subject="s",
    memory_id="m",
    version=1,
    text="naïve ☕",
    user_id="alex",
    agent_id=None,
    run_id=None,
    actor_id=None,
    role="user",
    metadata="{}",
    relations="[]",
    created_at=1,
    updated_at=2,
    valid_from=3,
    valid_to=None,
    said_at=None,
    evt_offset=7,
    kind="health",
    pending=True,
    said="5a1d",
    said_count=2,
    when="2026-11",
    added_offset=5,
    ordinal=1,
    vector=unit_vector(1),
)


def by_definition(rows: list[Row]) -> str:
    rows = sorted(rows, key=lambda row: row.row_id.encode())
    out = b"memfold vector 3\n" + struct.pack("<QQ", DIMENSIONS, len(rows))
    for name in Row.__struct_fields__:
        if name in ("evt_offset", "added_offset"):
            continue
        values: list[Any] = [getattr(row, name) for row in rows]
        out += name.encode() + b"\n" + bytes(value is not None for value in values)
        if name == "vector":
            out += b"".join(value or bytes(2 * DIMENSIONS) for value in values)
        elif (
            name in ("version", "pending", "said_count", "ordinal")
            or name.endswith("_at")
            or name.startswith("valid_")
        ):
            out += b"".join(struct.pack("<q", value or 0) for value in values)
        else:
            texts = [(value or "").encode() for value in values]
            out += b"".join(struct.pack("<I", len(text)) for text in texts) + b"".join(texts)
    return sha256(out).hexdigest()


def digest_of(rows: list[Row], path: Path) -> str:
    table = VectorTable(path, DIMENSIONS)
    table.commit(rows, Position(offset=9), all_new=True)
    return digest(table)


def test_it_is_what_its_definition_says(tmp_path: Path) -> None:
    with closing(VectorShard(tmp_path / "p0000", 0, DIMENSIONS)) as shard:
        assert shard.digest() == by_definition([])
        feed(shard, history(Random(2), 80))
        counted = shard.digest()
    table = VectorTable(tmp_path / "p0000", DIMENSIONS)
    names = list(Row.__struct_fields__)
    columns = table.columns(names).to_pydict()
    for name in ("created_at", "updated_at", "valid_from", "valid_to", "said_at"):
        columns[name] = [None if each is None else round(each.timestamp() * 1e6) for each in columns[name]]
    columns["vector"] = [None if each is None else struct.pack("<4e", *each) for each in columns["vector"]]
    rows = [Row(*values) for values in zip(*(columns[name] for name in names), strict=True)]
    assert len(rows) > 50
    assert counted == by_definition(rows)


@pytest.mark.parametrize("name", [name for name in Row.__struct_fields__ if not name.endswith("_offset")])
def test_every_column_counts(tmp_path: Path, name: str) -> None:
    others: dict[str, Any] = {"version": 2, "vector": unit_vector(2), "valid_to": 0, "said_at": 0}
    others["pending"] = False
    value = others.get(name, 9 if isinstance(getattr(ROW, name), int) else "")
    assert getattr(ROW, name) != value
    changed = msgspec.structs.replace(ROW, **{name: value})
    assert digest_of([ROW], tmp_path / "one") != digest_of([changed], tmp_path / "two")


def test_offsets_do_not_count(tmp_path: Path) -> None:
    moved = msgspec.structs.replace(ROW, evt_offset=8)
    assert digest_of([ROW], tmp_path / "one") == digest_of([moved], tmp_path / "two")


def test_a_text_cannot_run_into_the_next(tmp_path: Path) -> None:
    def pair(first: str, second: str) -> list[Row]:
        return [
            msgspec.structs.replace(ROW, text=first),
            msgspec.structs.replace(ROW, row_id="n:1", memory_id="n", text=second),
        ]

    assert digest_of(pair("ab", "c"), tmp_path / "one") != digest_of(pair("a", "bc"), tmp_path / "two")
    assert digest_of(pair("", "a"), tmp_path / "three") != digest_of(pair("a", ""), tmp_path / "four")
