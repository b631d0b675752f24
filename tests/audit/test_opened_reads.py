"""Which read events count, archived or not: genuine ones, once each, of those that the bounds are about."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid5

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from msgspec.structs import replace

from memfold.projections.archive import ArchiveShard
from memfold.projections.archive_files import write_segment
from memfold.projections.archive_rows import table_of
from memfold.projections.archive_segments import Segment
from memfold.schemas.codec import encode
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import ACCESS, key_of
from memfold.schemas.records import DeleteRequested, Envelope, LogRecord, MemoryRead
from tests.audit.full import asked, rows

MOMENT = datetime(2026, 3, 3, tzinfo=UTC)
START = int(MOMENT.timestamp() * 1000)
READ = MemoryRead("search", "allowed", "bot")


def read_by(
    keys: KeyStore,
    offset: int,
    user: str,
    memory_ids: Sequence[str],
    body: MemoryRead = READ,
    tenant: str = "acme",
    read_id: int | None = None,
    kind: str = "user",
) -> LogRecord:
    """The record of a read, as memfold writes it; a second after the one before."""
    subject = keys.subject_of(tenant, kind, user)
    key_id, key = keys.sealing_key(subject)
    call = str(UUID(int=offset if read_id is None else read_id))
    envelope = Envelope(
        str(uuid5(UUID(call), subject)), "memory_read", tenant, subject, call, MOMENT, b"", key_id, b"",
        memory_ids=list(memory_ids),
    )  # fmt: skip
    value = encode(envelope, body, key)
    return LogRecord(ACCESS, 0, offset, START + 1_000 * offset, key_of(tenant, subject), value)


def access_log(keys: KeyStore) -> list[LogRecord]:
    """Five reads that count: of alex one with two memories, one by an agent, one export; of kim two. And what does not."""
    mine = read_by(keys, 0, "alex", ["m", "n"])
    copied = read_by(keys, 6, "alex", ["m"])
    command = read_by(keys, 8, "alex", ["m"])
    _, key = keys.sealing_key(keys.subject_of("acme", "user", "alex"))
    envelope = Envelope("a command", "delete_requested", "acme", keys.subject_of("acme", "user", "alex"), "a command",
                        MOMENT, b"", keys.sealing_key(keys.subject_of("acme", "user", "alex"))[0], b"")  # fmt: skip
    return [
        mine,
        read_by(keys, 1, "kim", ["k"]),
        read_by(keys, 2, "alex", ["n"], replace(READ, agent_id="a1", purpose="care")),
        replace(mine, offset=3),
        read_by(keys, 4, "alex", ["*"], replace(READ, verb="export")),
        read_by(keys, 5, "alex", ["m"], tenant="globex"),
        replace(copied, key=read_by(keys, 6, "kim", []).key),
        LogRecord(ACCESS, 0, 7, START, b"", b"not memfold's"),
        replace(command, value=encode(envelope, DeleteRequested("m"), key)),
        read_by(keys, 9, "kim", ["k"], read_id=2),
    ]


@pytest.mark.parametrize("archived", [0, 4, 10])
async def test_what_counts_does_not_depend_on_what_is_archived(
    tmp_path: Path, keys: KeyStore, archived: int
) -> None:
    log = access_log(keys)
    if archived:
        with closing(ArchiveShard(tmp_path / "archive", ACCESS, 0)) as shard:
            shard.append(log[:archived])
    with asked(tmp_path / "archive", [], keys, others=log) as audit:
        select = 'SELECT "offset", len(memory_ids) FROM reads ORDER BY "offset"'
        assert await rows(audit, select) == [(0, 2), (1, 1), (2, 1), (4, 1), (9, 1)]
        assert await rows(audit, select, user_id="alex") == [(0, 2), (2, 1), (4, 1)]
        assert await rows(audit, select, user_id="nobody") == []
        assert await rows(audit, select, agent_id="a1") == [(2, 1)]
        assert await rows(audit, select, memory_id="n") == [(0, 2), (2, 1)]
        assert await rows(audit, select, memory_id="n", user_id="alex") == [(0, 2), (2, 1), (4, 1)]
        since = datetime.fromtimestamp(START / 1000 + 2, UTC)
        assert await rows(audit, select, since=since, user_id="kim") == [(9, 1)]
        found = await audit.sql("SELECT count(*) AS n, count(DISTINCT read_id) AS calls FROM reads")
        assert found.rows == [{"n": 5, "calls": 4}]
        # The copy under another key, and the command; bytes without an envelope have no tenant and are nobody's.
        assert found.left_out == {"duplicates": 1, "unreadable": 2}
        told = await audit.reads(user_id="alex", limit=2)
        assert [(one["verb"], one["purpose"], one["whose"]) for one in told] == [
            ("export", "", "alex"),
            ("search", "care", "alex"),
        ]


async def test_reads_of_an_erased_subject_are_counted_and_closed(tmp_path: Path, keys: KeyStore) -> None:
    log = access_log(keys)
    keys.destroy(keys.subject_of("acme", "user", "kim"))
    with asked(tmp_path / "archive", [], keys, others=log) as audit:
        found = await audit.sql("SELECT DISTINCT s.id FROM reads JOIN subjects s USING (subject)")
        assert found.rows == [{"id": "alex"}]
        assert found.left_out["erased"] == 2


async def test_a_read_whose_archived_columns_say_that_it_is_anothers_is_not_shown_as_theirs(
    tmp_path: Path, keys: KeyStore
) -> None:
    kims, alex = read_by(keys, 0, "kim", ["k"]), keys.subject_of("acme", "user", "alex")
    table = table_of([kims])
    at = table.schema.get_field_index("subject")
    changed = table.set_column(at, table.schema.field(at), pa.array([alex]))
    segment = Segment(tmp_path / "archive" / ACCESS, ACCESS, 0, 0, 0)
    segment.directory.mkdir(parents=True)
    write_segment(segment, changed)
    with asked(tmp_path / "archive", [], keys, others=[kims]) as audit:
        found = await audit.sql("SELECT * FROM reads", user_id="alex")
        assert (len(found), found.left_out) == (0, {"unreadable": 1})


async def test_both_kinds_of_records_that_do_not_count_are_added_up(tmp_path: Path, keys: KeyStore) -> None:
    with asked(tmp_path / "archive", [], keys, others=access_log(keys)) as audit:
        found = await audit.sql("SELECT count(*) FROM reads, versions")
        assert found.left_out == {"duplicates": 1, "unreadable": 2}
