"""History out of a real archive and a log behind it: what counts, what is left out and why, and damage."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Thread

import pytest
from msgspec.structs import replace

from memfold.audit.history import Answer, DuckDBHistory
from memfold.audit.versions import versions
from memfold.memory.errors import LogTruncated, ShardDamaged
from memfold.projections.archive import ArchiveShard
from memfold.projections.archive_segments import read_covers
from memfold.schemas.errors import UnknownKey
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import Clear, Event, LogRecord, MemoriesDecided, Operation, Scope
from tests.audit.logs import KEK, ListTail, log_of, subject_of
from tests.strategies import EPOCH, NASTY, OWNERS, Owner, history

ALEX, KIM, OTHER_TENANT = OWNERS
WHOLE_TENANT = Owner("acme", "", "")


@dataclass
class Script:
    """Writes events one after the other; `again` gives the command offset of an earlier one."""

    events: list[Event] = field(default_factory=list)

    def __call__(
        self, owner: Owner, *operations: Operation, clears: Sequence[Clear] = (), again: int | None = None
    ) -> Script:
        offset = len(self.events)
        command = offset * 2 if again is None else again
        envelope = replace(
            history(Random(1), 1)[0].envelope,
            record_id=f"event {offset}",
            tenant=owner.tenant,
            subject=owner.subject,
            command_id=f"command {command}",
            command_offset=command,
            memory_ids=[operation.memory_id for operation in operations],
        )
        body = MemoriesDecided("decided", operations=list(operations), clears=list(clears))
        self.events.append(Event(0, offset, EPOCH, envelope, body))
        return self


def written(op: str, memory_id: str, version: int, text: str) -> Operation:
    return Operation(op, memory_id, version, text, Scope("alex"))


def archive(root: Path, log: Sequence[LogRecord], batch: int = 3) -> None:
    with closing(ArchiveShard(root, EVENTS, 0)) as shard:
        for start in range(0, len(log), batch):
            shard.append(log[start : start + batch])


async def ask(
    root: Path, log: Sequence[LogRecord], keys: KeyStore, memory_id: str, tenant: str = "acme"
) -> Answer:
    with closing(DuckDBHistory(root, 1, ListTail(log), keys)) as answers:
        return await answers.answer(tenant, memory_id)


def texts(answer: Answer, memory_id: str) -> list[tuple[str, str | None]]:
    return [(entry["event"], entry["new_memory"]) for entry in versions(answer.events, memory_id)]


LIFE = (
    Script()(KIM, written("ADD", "k", 1, "kim's"))(ALEX, written("ADD", "m", 1, "coffee"))(ALEX)
    (ALEX, written("UPDATE", "m", 2, "tea"), written("ADD", "n", 1, "walks"))
    (KIM, clears=[Clear(Scope("kim"))])
    (ALEX, written("DELETE", "n", 2, "walks"))
    (ALEX, clears=[Clear(Scope("alex"))])
    (ALEX, written("ADD", "o", 1, "new"))
    (WHOLE_TENANT, clears=[Clear(Scope(), whole_tenant=True)])
    (OTHER_TENANT, written("ADD", "z", 1, "zeta's"), clears=[Clear(Scope("alex"))]).events
)  # fmt: skip


@pytest.mark.parametrize("archived", [0, 5, len(LIFE)])
async def test_updates_deletes_and_clears(tmp_path: Path, keys: KeyStore, archived: int) -> None:
    log = log_of(LIFE, keys)
    archive(tmp_path, log[:archived])
    expected = {
        "m": [("ADD", "coffee"), ("UPDATE", "tea"), ("DELETE", None)],
        "n": [("ADD", "walks"), ("DELETE", None)],
        "k": [("ADD", "kim's"), ("DELETE", None)],
        "o": [("ADD", "new"), ("DELETE", None)],
        "z": [],
    }
    for memory_id, entries in expected.items():
        answer = await ask(tmp_path, log, keys, memory_id)
        assert texts(answer, memory_id) == entries
        assert (answer.duplicates, answer.erased, answer.unreadable) == (0, 0, 0)
    assert texts(await ask(tmp_path, log, keys, "z", "zeta"), "z") == [("ADD", "zeta's")]


async def test_an_event_is_opened_as_it_was_written(tmp_path: Path, keys: KeyStore) -> None:
    archive(tmp_path, log_of(LIFE, keys))
    (added, updated, *_) = (await ask(tmp_path, log_of(LIFE, keys), keys, "m")).events
    assert (added.partition, added.offset, added.recorded_at, added.body) == (0, 1, EPOCH, LIFE[1].body)
    assert updated.envelope.subject == subject_of(keys, LIFE[3])


@pytest.mark.parametrize("memory_id", ["", "*", "unknown", "m' OR 1=1 --", '"; DROP', *NASTY])
async def test_hostile_and_unknown_ids_find_nothing(tmp_path: Path, keys: KeyStore, memory_id: str) -> None:
    log = log_of(LIFE, keys)
    archive(tmp_path, log[:4])
    for tenant in ("acme", "' OR 1=1 --", "*"):
        assert await ask(tmp_path, log, keys, memory_id, tenant) == Answer()


async def test_memories_with_hostile_ids_are_found(tmp_path: Path, keys: KeyStore) -> None:
    script = Script()
    for memory_id in NASTY:
        script(ALEX, written("ADD", memory_id, 1, "text"))
    archive(tmp_path, log_of(script.events, keys)[:4])
    for number, memory_id in enumerate(NASTY):
        answer = await ask(tmp_path, log_of(script.events, keys), keys, memory_id)
        assert [event.offset for event in answer.events] == [number]


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


async def test_a_key_store_of_another_log_is_an_error_not_an_empty_history(
    tmp_path: Path, keys: KeyStore
) -> None:
    archive(tmp_path, log_of(LIFE, keys))
    with closing(KeyStore(tmp_path / "other.db", KEK)) as other:
        with pytest.raises(UnknownKey):
            await ask(tmp_path, log_of(LIFE, keys), other, "m")
        assert await ask(tmp_path, log_of(LIFE, keys), other, "unknown") == Answer()


async def test_an_answer_is_never_older_than_the_question(tmp_path: Path, keys: KeyStore) -> None:
    """One history object, while the log grows and the archive follows and replaces its segments."""
    script = Script()(ALEX, written("ADD", "m", 1, "0"))
    for number in range(1, 40):
        script(ALEX, written("UPDATE", "m", number + 1, str(number)))
    log, tail = log_of(script.events, keys), ListTail([])
    with (
        closing(DuckDBHistory(tmp_path, 1, tail, keys)) as answers,
        closing(ArchiveShard(tmp_path, EVENTS, 0)) as shard,
    ):
        for count in range(1, 41):
            tail.partitions[0] = log[:count]
            if count % 3 == 0:
                shard.append(log[: count - count % 2])
            events = await answers.events_of("acme", "m")
            assert [event.offset for event in events] == list(range(count))


async def test_a_writer_beside_the_questions(tmp_path: Path, keys: KeyStore) -> None:
    script = Script()
    for number in range(120):
        script(ALEX, written("UPDATE", "m", number + 1, str(number)))
    log = log_of(script.events, keys)
    writer = Thread(target=archive, args=(tmp_path, log, 1))
    with closing(DuckDBHistory(tmp_path, 1, ListTail(log), keys)) as answers:
        writer.start()
        asked = 0
        while writer.is_alive() or not asked:
            assert len(await answers.events_of("acme", "m")) == 120
            asked += 1
    writer.join()
    assert asked > 5


async def test_a_damaged_segment_is_named(tmp_path: Path, keys: KeyStore) -> None:
    log = log_of(LIFE, keys)
    archive(tmp_path, log, batch=len(log))
    (segment,) = read_covers(tmp_path, EVENTS)[0]
    whole = segment.path.read_bytes()
    segment.path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ShardDamaged, match=segment.path.name):
        await ask(tmp_path, log, keys, "m")
    segment.path.rename(segment.path.with_name(segment.path.name.replace("00-000", "00-001")))
    with pytest.raises(ShardDamaged, match="no segment in"):
        await ask(tmp_path, log, keys, "m")


async def test_a_log_that_lost_records_is_an_error(tmp_path: Path, keys: KeyStore) -> None:
    log = log_of(LIFE, keys)
    archive(tmp_path, log[:3])
    with pytest.raises(LogTruncated):
        await ask(tmp_path, [*log[:3], *log[5:]], keys, "m")
