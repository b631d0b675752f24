"""The past in columns is the past event by event: the same dicts, whatever happened, and however often it was asked in between."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from memfold.audit.bounds import checked_bounds, until_with
from memfold.audit.changes import Told, state
from memfold.audit.errors import TooMuchToOpen
from memfold.audit.full_log import FullLog, relations_of, versions_of
from memfold.schemas.errors import UnknownKey
from memfold.schemas.keystore import KeyStore
from memfold.schemas.records import LogRecord, Scope
from tests.audit.asking import ALEX, KIM, LIFE, archive
from tests.audit.logs import KEK, ListTail, Script, log_of, written
from tests.strategies import EPOCH, history


@pytest.fixture(scope="module")
def shared_keys(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    return KeyStore(tmp_path_factory.mktemp("keys") / "keys.db", KEK)


def event_by_event(log: FullLog, tenant: str, at: datetime, agent_id: str | None) -> Told:
    bounds = replace(checked_bounds(tenant, log.directory, agent_id=agent_id), until=until_with(at))
    read = log.lives(bounds)
    return state(versions_of(read.events, bounds), relations_of(read.events, bounds), bounds.scope, at)


def in_columns(log: FullLog, tenant: str, at: datetime, agent_id: str | None) -> Told:
    return log.state(checked_bounds(tenant, log.directory, agent_id=agent_id), at)


def as_a_table(log: FullLog, tenant: str, at: datetime, agent_id: str | None) -> list[Told]:
    told = []
    for row in log.memories_then(checked_bounds(tenant, log.directory, agent_id=agent_id), at).rows:
        row |= {name: row[name] and row[name].isoformat() for name in ("valid_from", "valid_to")}
        row |= {"metadata": json.loads(row["metadata"])}
        ids = ("user_id", "agent_id", "run_id", "actor_id")
        told.append({name: value for name, value in row.items() if name not in ids or value is not None})
    return told


def spoilt(log: list[LogRecord], random: Random) -> list[LogRecord]:
    """Some records changed as somebody with the topic but without a key could: bytes, the key, a copy of another; clocks set back."""
    changed = list(log)
    for number, record in enumerate(log):
        what = random.random()
        if what < 0.05 and record.value:
            at = random.randrange(len(record.value))
            value = (
                record.value[:at]
                + bytes([record.value[at] ^ 1 << random.randrange(8)])
                + record.value[at + 1 :]
            )
            changed[number] = replace(record, value=value)
        elif what < 0.08:
            changed[number] = replace(record, value=random.choice(log).value)
        elif what < 0.10:
            changed[number] = replace(record, key=random.choice(log).key)
        elif what < 0.13:
            changed[number] = replace(record, timestamp_ms=record.timestamp_ms - random.choice([1, 30]))
    return changed


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32))
def test_the_same_as_event_by_event(shared_keys: KeyStore, seed: int) -> None:
    # A seed and not drawn piece by piece: nonces are new in each run, so what a flipped bit does is too.
    random = Random(seed)
    events, archived = history(random, random.randrange(40)), random.randrange(40)
    whole = spoilt(
        log_of([replace(e, recorded_at=e.recorded_at.replace(microsecond=e.recorded_at.microsecond // 1000 * 1000)) for e in events],
               shared_keys), random,
    )  # fmt: skip
    moments = [event.recorded_at for event in events] or [EPOCH]
    with TemporaryDirectory() as folder:
        archive(Path(folder), whole[:archived])
        tail = ListTail(whole[: max(archived, len(whole) // 2)])
        with closing(FullLog(Path(folder), 1, tail, shared_keys, shared_keys, limit=1000)) as log:
            for log_so_far in (tail.partitions[0], whole):
                tail.partitions[0] = log_so_far
                for tenant, agent_id in (("acme", None), ("zeta", None), ("acme", "planner")):
                    at = random.choice(moments) + timedelta(microseconds=random.choice([-1, 0, 0, 1]))
                    try:
                        expected = event_by_event(log, tenant, at, agent_id)
                    except UnknownKey:
                        # No record can be opened at all; in columns there is nothing to tell then.
                        continue
                    try:
                        found = in_columns(log, tenant, at, agent_id)
                    except UnknownKey:
                        # Of all the log, also of what is later than the moment, no record can be opened.
                        with pytest.raises(UnknownKey):
                            event_by_event(log, tenant, max(moments) + timedelta(days=1), agent_id)
                        continue
                    assert found == expected
                    assert as_a_table(log, tenant, at, agent_id) == expected["results"]


def test_most_lives_are_folded_in_columns(tmp_path: Path, shared_keys: KeyStore) -> None:
    """Else the equality above would be that of the events' fold with itself."""
    log = log_of(history(Random(5), 400), shared_keys)
    with closing(FullLog(tmp_path, 1, ListTail(log), shared_keys, shared_keys, limit=1000)) as full:
        full.state(checked_bounds("zeta", shared_keys), EPOCH + timedelta(days=1))
        full.state(checked_bounds("acme", shared_keys), EPOCH + timedelta(days=1))
        known = full.events.ask(lambda snapshot: full.past("acme").partitions(snapshot))[0]
    assert len(known.versions) > 100
    assert len(known.relations) > 50


def test_what_a_destroyed_key_opened_is_forgotten(tmp_path: Path) -> None:
    keys = KeyStore(tmp_path / "keys.db", KEK)
    events = Script()(ALEX, written("ADD", "a", 1, "alex's"))(KIM, written("ADD", "k", 1, "kim's")).events
    log = log_of(events, keys)
    with closing(FullLog(tmp_path / "archive", 1, ListTail(log), keys, keys)) as full:
        bounds = checked_bounds("acme", keys)
        assert [one["memory"] for one in full.state(bounds, EPOCH)["results"]] == ["alex's", "kim's"]
        keys.destroy(keys.subject_of("acme", "user", "alex"))
        assert [one["memory"] for one in full.state(bounds, EPOCH)["results"]] == ["kim's"]
        known = full.events.ask(lambda snapshot: full.past("acme").partitions(snapshot))[0]
        assert known.operations[0]["text"].to_pylist() == ["kim's"]


def test_a_lost_key_store_is_not_an_empty_past(tmp_path: Path, shared_keys: KeyStore) -> None:
    log, other = log_of(LIFE, shared_keys), KeyStore(tmp_path / "other.db", KEK)
    with closing(FullLog(tmp_path, 1, ListTail(log), other, other)) as full, pytest.raises(UnknownKey):
        full.state(checked_bounds("acme", other), EPOCH)


def test_too_much_at_once_is_refused_before_anything_is_opened(tmp_path: Path, shared_keys: KeyStore) -> None:
    log = log_of(LIFE, shared_keys)
    with (
        closing(FullLog(tmp_path, 1, ListTail(log), shared_keys, shared_keys, limit=0)) as full,
        pytest.raises(TooMuchToOpen, match="records have to be opened, and at most 0"),
    ):
        full.state(checked_bounds("acme", shared_keys), EPOCH)


def test_a_scope_narrows_it(tmp_path: Path, shared_keys: KeyStore) -> None:
    mine = replace(written("ADD", "a", 1, "planned"), scope=Scope("alex", "planner"))
    log = log_of(Script()(ALEX, mine, written("ADD", "b", 1, "said")).events, shared_keys)
    with closing(FullLog(tmp_path, 1, ListTail(log), shared_keys, shared_keys)) as full:
        found = in_columns(full, "acme", EPOCH, "planner")["results"]
    assert [one["memory"] for one in found] == ["planned"]
