"""What history does not believe: duplicates, forgeries, columns; and what it cannot open."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from msgspec.structs import replace

from memfold.audit.history import Answer, DuckDBHistory
from memfold.projections.archive_files import read_segment, write_segment
from memfold.projections.archive_rows import SCHEMA
from memfold.projections.archive_segments import read_covers
from memfold.schemas.errors import UnknownKey
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import Clear, Scope
from tests.audit.asking import ALEX, KIM, LIFE, archive, ask, texts
from tests.audit.logs import KEK, ListTail, Script, log_of, subject_of, written


@pytest.mark.parametrize("archived", range(8))
async def test_what_a_zombie_wrote_does_not_count(tmp_path: Path, keys: KeyStore, archived: int) -> None:
    """Also where the zombie decided otherwise: only its event names the memory, the one that counts names none or another."""
    script = Script()(ALEX, written("ADD", "m", 1, "coffee"))(ALEX, written("UPDATE", "m", 2, "tea"))(ALEX)
    script(ALEX, written("UPDATE", "m", 2, "tea"), again=2)
    script(ALEX, written("UPDATE", "m", 3, "mate"), again=4)
    script(ALEX, clears=[Clear(Scope("alex"))], again=0)
    script(ALEX, written("UPDATE", "m", 3, "water"))
    log = log_of(script.events, keys)
    archive(tmp_path, log[:archived])
    answer = await ask(tmp_path, log, keys, "m")
    assert texts(answer, "m") == [("ADD", "coffee"), ("UPDATE", "tea"), ("UPDATE", "water")]
    assert answer.duplicates == 3


async def test_a_memory_that_only_a_zombie_made_never_was(tmp_path: Path, keys: KeyStore) -> None:
    script = Script()(ALEX)(KIM)(ALEX, written("ADD", "m", 1, "coffee"), again=0)(
        ALEX, clears=[Clear(Scope("alex"))]
    )
    archive(tmp_path, log_of(script.events, keys))
    assert await ask(tmp_path, log_of(script.events, keys), keys, "m") == Answer(duplicates=1)


async def test_the_second_answer_to_the_very_command_does_not_count(tmp_path: Path, keys: KeyStore) -> None:
    script = Script()(ALEX)(ALEX, written("ADD", "m", 1, "coffee"), again=0)
    archive(tmp_path, log_of(script.events, keys))
    assert await ask(tmp_path, log_of(script.events, keys), keys, "m") == Answer(duplicates=1)


async def test_a_forged_command_offset_does_not_hide_what_comes_after(tmp_path: Path, keys: KeyStore) -> None:
    """Anybody who can write to the topic can claim a command offset; only a genuine event moves the fence."""
    script = Script()(ALEX, written("ADD", "m", 1, "coffee"))(KIM, again=10**9)(
        ALEX, written("UPDATE", "m", 2, "tea")
    )
    log = log_of(script.events, keys)
    log[1] = replace(log[1], value=log[1].value[:-1] + bytes([log[1].value[-1] ^ 1]))
    archive(tmp_path, log)
    answer = await ask(tmp_path, log, keys, "m")
    assert texts(answer, "m") == [("ADD", "coffee"), ("UPDATE", "tea")]
    assert answer.unreadable == 0


async def test_a_destroyed_key(tmp_path: Path, keys: KeyStore) -> None:
    log = log_of(LIFE, keys)
    archive(tmp_path, log[:4])
    keys.destroy(subject_of(keys, LIFE[1]))
    assert await ask(tmp_path, log, keys, "m") == Answer(erased=3)
    assert texts(await ask(tmp_path, log, keys, "k"), "k") == [("ADD", "kim's"), ("DELETE", None)]


async def test_forged_rows_are_left_out_counted_and_logged(
    tmp_path: Path, keys: KeyStore, caplog: pytest.LogCaptureFixture
) -> None:
    log = log_of(LIFE, keys)
    for offset, key in ((3, b"acme/somebody else"), (7, log[7].key)):
        log[offset] = replace(log[offset], key=key)
    damaged = log[1].value[:-1] + bytes([log[1].value[-1] ^ 1])
    log.append(replace(log[1], offset=len(log), value=damaged))
    archive(tmp_path, log)
    answer = await ask(tmp_path, log, keys, "m")
    assert texts(answer, "m") == [("ADD", "coffee"), ("DELETE", None)]
    assert answer.unreadable == 2
    with (
        closing(DuckDBHistory(tmp_path, 1, ListTail(log), keys)) as answers,
        caplog.at_level(logging.WARNING),
    ):
        assert await answers.events_of("acme", "m") == answer.events
    assert "2 records that name the memory m cannot be read" in caplog.text


@pytest.mark.parametrize(("column", "value"), [("tenant", "zeta"), ("memory_ids", ["z"])])
async def test_columns_that_do_not_fit_the_value_are_not_believed(
    tmp_path: Path, keys: KeyStore, column: str, value: object
) -> None:
    """Somebody rewrites the archive so that one tenant, or one memory, shows what belongs to another."""
    log = log_of(LIFE, keys)
    archive(tmp_path, log, batch=len(log))
    (segment,) = read_covers(tmp_path, EVENTS)[0]
    table = read_segment(segment)
    index = SCHEMA.get_field_index(column)
    values = [value] * len(table)
    write_segment(
        segment, table.set_column(index, SCHEMA.field(index), pa.array(values, SCHEMA.field(index).type))
    )
    memory_id, tenant = ("m", "zeta") if column == "tenant" else ("z", "acme")
    answer = await ask(tmp_path, log, keys, memory_id, tenant)
    assert answer.events == []
    assert answer.unreadable >= 2


async def test_a_key_store_of_another_log_is_an_error_not_an_empty_history(
    tmp_path: Path, keys: KeyStore
) -> None:
    archive(tmp_path, log_of(LIFE, keys))
    with closing(KeyStore(tmp_path / "other.db", KEK)) as other:
        with pytest.raises(UnknownKey):
            await ask(tmp_path, log_of(LIFE, keys), other, "m")
        assert await ask(tmp_path, log_of(LIFE, keys), other, "unknown") == Answer()
