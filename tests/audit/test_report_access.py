"""The report of who read: each call once, each person by name, and what was refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from memfold.schemas.keystore import KeyStore
from memfold.schemas.records import LogRecord, MemoryRead
from tests.audit.full import asked
from tests.audit.test_opened_reads import READ, read_by

CARE = MemoryRead("search", "allowed", "desk", purpose="care", count=3)
DENIED = MemoryRead("get_all", "denied", "desk", error="ReadDenied")
HOSTILE = "<script>x</script>"


def access_log(keys: KeyStore) -> list[LogRecord]:
    """Six calls: two of bot on alex, one of desk on alex and kim at once, an export, one that was denied, one of nobody's."""
    return [
        read_by(keys, 0, "alex", ["m", "n"], replace(READ, count=2)),
        read_by(keys, 1, "alex", ["m"], replace(READ, count=1)),
        read_by(keys, 2, "alex", ["m", "n"], CARE),
        read_by(keys, 3, "kim", ["k"], CARE, read_id=2),
        read_by(keys, 4, "kim", ["*"], replace(READ, verb="export", count=1)),
        read_by(keys, 5, "kim", [], DENIED),
        read_by(keys, 6, "acme", [], replace(READ, actor=HOSTILE), kind="tenant"),
        replace(read_by(keys, 0, "alex", ["m", "n"], replace(READ, count=2)), offset=7),
    ]


async def told(tmp_path: Path, keys: KeyStore, **bounds: Any) -> dict[str, Any]:
    with asked(tmp_path / "archive", [], keys, others=access_log(keys)) as audit:
        return (await audit.report("access", **bounds)).json()


def picked(rows: list[dict[str, Any]], *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in rows]


async def test_each_call_counts_once_however_many_it_touched(tmp_path: Path, keys: KeyStore) -> None:
    found = await told(tmp_path, keys)
    assert picked(found["readers"], "actor", "purpose", "reads", "results", "denied") == [
        ("bot", "", 3, 4, 0),
        (HOSTILE, "", 1, 0, 0),
        ("desk", "", 1, 0, 1),
        ("desk", "care", 1, 3, 0),
    ]
    assert picked(found["verbs"], "verb", "reads") == [("search", 4), ("export", 1), ("get_all", 1)]
    about = found["about"]
    assert [about[name] for name in ("reads", "allowed", "denied", "failed")] == [6, 5, 1, 0]
    assert about["whose memories were read"] == 2, "a read of nobody's memories is a read of nobody"


async def test_whose_memories_by_whom(tmp_path: Path, keys: KeyStore) -> None:
    expected = [
        ("alex", "bot", "", 2, 2, False),
        ("alex", "desk", "care", 1, 2, False),
        ("kim", "bot", "", 1, 0, True),
        ("kim", "desk", "", 1, 0, False),
        ("kim", "desk", "care", 1, 1, False),
    ]
    columns = ("id", "actor", "purpose", "reads", "memories", "all_of_them")
    found = await told(tmp_path, keys)
    assert picked(found["whose"], *columns) == expected
    kims = await told(tmp_path, keys, user_id="kim")
    assert picked(kims["whose"], *columns) == expected[2:]
    assert kims["about"]["reads"] == 3


async def test_what_was_refused_is_listed(tmp_path: Path, keys: KeyStore) -> None:
    found = await told(tmp_path, keys)
    assert picked(found["refused"], "actor", "verb", "decision", "error") == [
        ("desk", "get_all", "denied", "ReadDenied")
    ]


async def test_an_erased_reader_of_nobody_and_a_page_that_cannot_be_broken(
    tmp_path: Path, keys: KeyStore
) -> None:
    log = access_log(keys)
    keys.destroy(keys.subject_of("acme", "user", "kim"))
    with asked(tmp_path / "archive", [], keys, others=log) as audit:
        report = await audit.report("access")
    assert picked(report.json()["whose"], "id", "actor") == [("alex", "bot"), ("alex", "desk")]
    assert "<script" not in report.html()
    assert "<svg" in report.html()


async def test_where_nothing_was_read(tmp_path: Path, keys: KeyStore) -> None:
    with asked(tmp_path / "archive", [], keys) as audit:
        report = await audit.report("access")
    assert report.json()["readers"] == []
    assert "Nothing was read, or nothing was recorded." in report.html()
