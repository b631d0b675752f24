"""What a watch gives of a log: exactly its scope, each change once, from any place on; real records, archive and key store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from memfold.audit.full_log import FullLog
from memfold.audit.history import DuckDBHistory
from memfold.audit.rows_at import current
from memfold.memory.changed import Change
from memfold.memory.errors import InvalidInput
from memfold.memory.log_position import LogPosition, checked_since, position
from memfold.memory.matching import matches
from memfold.memory.reach import checked_reach
from memfold.memory.results import Result
from memfold.memory.watched import Watched
from memfold.projections.base import Position, fenced
from memfold.schemas.keystore import KeyStore
from memfold.schemas.records import Clear, LogRecord, Scope
from memfold.serve.watched_log import KafkaWatchedLog
from memfold.streams.connection import Connection
from memfold.streams.projecting import open_batch
from memfold.streams.reader import LogReader
from tests.audit.asking import ALEX, KIM, LIFE, archive
from tests.audit.logs import KEK, ListTail, Script, log_of, subject_of, written
from tests.strategies import history

SCOPES: tuple[dict[str, Any], ...] = (
    {"user_id": "alex"},
    {"agent_id": "planner"},
    {"user_id": "alex", "agent_id": "planner"},
    {"user_id": "nobody"},
    {"filters": {"user_id": ["alex", "kim"], "NOT": {"run_id": "run-1"}}},
)


@pytest.fixture(scope="module")
def shared_keys(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    return KeyStore(tmp_path_factory.mktemp("keys") / "keys.db", KEK)


@contextmanager
def watched_log(
    root: Path, log: Sequence[LogRecord], keys: KeyStore, archived: int = 0, limit: int = 1000
) -> Iterator[KafkaWatchedLog]:
    """The log with its beginning archived. Nothing is read from Kafka: the tests hand over the records."""
    archive(root, log[:archived])
    tail = ListTail(log)
    with (
        closing(DuckDBHistory(root, 1, tail, keys)) as answers,
        closing(FullLog(root, 1, tail, keys, keys, limit=limit)) as full,
    ):
        yield KafkaWatchedLog(LogReader(Connection(bootstrap_servers="localhost:1")), answers, full)


async def found(
    log: KafkaWatchedLog,
    records: Sequence[LogRecord],
    keys: KeyStore,
    given: Mapping[str, Any],
    start: int = 0,
) -> list[Change]:
    """Every change from an offset on, those that do not pass too."""
    ids = {name: value for name, value in given.items() if name != "filters"}
    watched = Watched("acme", checked_reach(given.get("filters"), ids), keys, log)
    (begin,) = (await log.starts({0: start}, None)).values()
    watched.fences = {0: begin.fence}
    return [change for record in records[start:] for change in await watched.changes(record)]


def passed(changes: Sequence[Change]) -> list[Result]:
    return [change.told for change in changes if change.told is not None]


def replayed(changes: Sequence[Result]) -> dict[str, str]:
    """What somebody holds who does what he is told; as a fold, he ignores what fits nothing."""
    held: dict[str, str] = {}
    seen: set[str] = set()
    for change in changes:
        memory_id = change["id"]
        if change["event"] == "DELETE":
            held.pop(memory_id, None)
        elif change["event"] == "RESTORE":
            if memory_id in seen and memory_id not in held:
                held[memory_id] = change["memory"]
        elif memory_id in held or (change["event"] == "ADD" and memory_id not in seen):
            held[memory_id] = change["memory"]
        seen.add(memory_id)
    return held


@settings(max_examples=40)
@given(st.randoms(use_true_random=False), st.sampled_from(SCOPES))
def test_who_does_what_a_watch_says_has_what_a_search_finds(
    shared_keys: KeyStore, random: Random, given: dict[str, Any]
) -> None:
    events = history(random, random.randint(1, 14))
    records = log_of(events, shared_keys)
    cut, archived = random.randint(0, len(records)), random.randint(0, len(records))
    with TemporaryDirectory() as folder, watched_log(Path(folder), records, shared_keys, archived) as log:
        whole = asyncio.run(found(log, records, shared_keys, given))
        rest = asyncio.run(found(log, records, shared_keys, given, cut))
        first = asyncio.run(found(log, records[:cut], shared_keys, given))
    assert first + rest == whole
    counted, _ = fenced(open_batch(records, shared_keys).events, Position())
    tree = checked_reach(given.get("filters"), {n: v for n, v in given.items() if n != "filters"}).tree
    inside = [row for row in current(counted).values() if row.tenant == "acme" and matches(tree, row)]
    assert replayed(passed(whole)) == {row.memory_id: row.text for row in inside}
    for change in passed(whole):
        for name in ("user_id", "agent_id"):
            assert given.get(name) in (None, change.get(name))


async def test_an_event_that_was_written_again_comes_once_wherever_it_is_begun(
    tmp_path: Path, keys: KeyStore
) -> None:
    """Its copy, a zombie's other answer to the same command, and what somebody without a key wrote in between."""
    script = Script()(ALEX, written("ADD", "m", 1, "coffee"))(ALEX, written("ADD", "n", 1, "walks"))
    script(ALEX, written("ADD", "m", 1, "coffee"), again=0)(ALEX, written("ADD", "z", 1, "zombie"), again=2)
    records = log_of(
        script(KIM, written("ADD", "k", 1, "kim's"))(ALEX, written("ADD", "o", 1, "new")).events, keys
    )
    flipped = records[5].value[:-3] + bytes([records[5].value[-3] ^ 1]) + records[5].value[-2:]
    records[4] = replace(records[4], key=records[5].key, value=flipped)
    with watched_log(tmp_path, records, keys, archived=3) as log:
        for start, expected in ((0, "coffee walks new"), (1, "walks new"), (2, "new"), (3, "new"), (6, "")):
            changes = passed(await found(log, records, keys, {"user_id": "alex"}, start))
            assert [change["memory"] for change in changes] == expected.split()


async def test_an_erased_subject_shows_as_erased(tmp_path: Path, keys: KeyStore) -> None:
    """To whoever watches that user, with the ids that may be dropped; to an agent's watch, whose it was nobody knows, with none."""
    records = log_of(LIFE[:6], keys)
    with watched_log(tmp_path, records, keys) as log:
        ids = {"user_id": "alex"}
        watched = Watched("acme", checked_reach(None, ids), keys, log)
        assert watched.subjects() == {subject_of(keys, LIFE[1])}
        keys.destroy(subject_of(keys, LIFE[1]))
        changes = [change for record in records for change in await watched.changes(record)]
        told = passed(changes)
        assert [change["event"] for change in told] == ["ERASED"] * 4
        assert [change["ids"] for change in told] == [["m"], [], ["m", "n"], ["n"]]
        assert "alex" not in repr(told)
        agents = passed(await found(log, records, keys, {"agent_id": "planner"}))
        assert [(change["event"], change["ids"]) for change in agents] == [("ERASED", [])] * 4


async def test_a_clear_of_more_than_can_be_opened_is_told_as_one(tmp_path: Path, keys: KeyStore) -> None:
    script = Script()
    for number in range(6):
        script(ALEX, written("ADD", f"m{number}", 1, str(number)))
    records = log_of(
        script(ALEX, clears=[Clear(Scope("alex"))])(KIM, clears=[Clear(Scope("kim"))]).events, keys
    )
    with watched_log(tmp_path, records, keys, limit=3) as log:
        told = passed(await found(log, records, keys, {"user_id": "alex"}, 6))
    assert [(change["event"], change["user_id"]) for change in told] == [("CLEAR", "alex")]


async def test_a_position_of_another_log_is_refused(tmp_path: Path, keys: KeyStore) -> None:
    records = log_of(LIFE, keys)
    with watched_log(tmp_path, records, keys) as log:
        assert (await log.starts({0: len(records)}, None))[0].offset == len(records)
        with pytest.raises(InvalidInput, match="position in another log"):
            await log.starts({0: len(records) + 1}, None)


numbers = st.integers(0, 2**53)


@given(st.integers(1, 64), numbers, st.dictionaries(st.integers(0, 63), st.tuples(numbers, numbers)))
def test_a_position_reads_back_as_it_was(
    partitions: int, at: int, places: dict[int, tuple[int, int]]
) -> None:
    assert checked_since(position(partitions, at, places)) == LogPosition(partitions, at, places)


@given(st.text(max_size=60))
def test_what_is_no_position_is_refused(text: str) -> None:
    try:
        found = checked_since("p1." + text)
    except InvalidInput:
        return
    assert isinstance(found, LogPosition)
