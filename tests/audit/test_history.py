"""History out of a real archive and a log behind it: what it holds, how fresh it is, and damage."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest

from memfold.audit.history import Answer, DuckDBHistory
from memfold.memory.errors import LogTruncated, ShardDamaged
from memfold.projections.archive import ArchiveShard
from memfold.projections.archive_segments import read_covers
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from tests.audit.asking import ALEX, LIFE, archive, ask, texts
from tests.audit.logs import ListTail, Script, log_of, subject_of, written
from tests.strategies import EPOCH, NASTY


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
    events = (await ask(tmp_path, log_of(LIFE, keys), keys, "m")).events
    assert [event.offset for event in events] == [1, 3, 6, 8], "clears of another subject do not touch it"
    added, updated = events[:2]
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
