"""The state at a moment, by the log alone, is what the projections' folds make of the log up to there.

`FOLDS` are the ways to it: whoever can answer as_of from somewhere else adds it there, and it is held to the same answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from memfold.projections.base import Position, fenced
from memfold.projections.vector_fold import fold, micros
from memfold.projections.vector_rows import Row
from memfold.schemas.errors import Unreadable
from memfold.schemas.keystore import KeyStore
from memfold.schemas.opening import open_event
from memfold.schemas.records import Event, LogRecord
from tests.audit.full import asked
from tests.audit.logs import KEK, log_of
from tests.strategies import OWNERS, histories, randoms

State = list[tuple[Any, ...]]
AsOf = Callable[[Sequence[LogRecord], KeyStore, str, str, datetime], State]


def by_fold_up_to(log: Sequence[LogRecord], keys: KeyStore, tenant: str, user: str, at: datetime) -> State:
    """Every record up to the moment, folded anew: what is current then."""
    return _state(
        [
            row
            for row in _rows([one for one in log if one.timestamp_ms <= at.timestamp() * 1000], keys)
            if row.valid_to is None
        ],
        tenant,
        user,
    )


def by_validity(log: Sequence[LogRecord], keys: KeyStore, tenant: str, user: str, at: datetime) -> State:
    """The whole log folded, and the versions that were valid then: what a projection answers from."""
    then = micros(at)
    valid = [
        one
        for one in _rows(log, keys)
        if one.valid_from <= then and (one.valid_to is None or then < one.valid_to)
    ]
    return _state(valid, tenant, user)


FOLDS: list[AsOf] = [by_fold_up_to, by_validity]


def _rows(log: Sequence[LogRecord], keys: KeyStore) -> list[Row]:
    events = []
    for record in log:
        try:
            events.append(open_event(record, keys))
        except Unreadable:
            continue
    return fold(fenced(events, Position())[0], [])


def _state(rows: Sequence[Row], tenant: str, user: str) -> State:
    mine = [row for row in rows if row.tenant == tenant and row.user_id == user]
    return sorted(
        (row.memory_id, row.version, row.text, row.agent_id, row.run_id, row.kind, row.pending, row.when)
        for row in mine
    )


def told(results: list[dict[str, Any]]) -> State:
    return sorted(
        (
            one["id"],
            one["version"],
            one["memory"],
            one.get("agent_id"),
            one.get("run_id"),
            one["kind"],
            one["pending"],
            one["when"],
        )
        for one in results
    )


@pytest.fixture(scope="module")
def shared_keys(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    """One for all examples: the subjects are the same in each, and a store takes long to make."""
    return KeyStore(tmp_path_factory.mktemp("keys") / "keys.db", KEK)


@settings(deadline=None, max_examples=40)
@given(histories(max_events=25), randoms(), st.integers(0, 25))
def test_by_the_log_alone(shared_keys: KeyStore, events: list[Event], random: Any, archived: int) -> None:
    # Times in whole milliseconds, as a broker gives them.
    events = [
        replace(e, recorded_at=e.recorded_at.replace(microsecond=e.recorded_at.microsecond // 1000 * 1000))
        for e in events
    ]
    log = log_of(events, shared_keys)
    # What a gap is filled with has the time of the record before it, as a broker would give it.
    for number in range(1, len(log)):
        log[number] = replace(
            log[number], timestamp_ms=max(log[number].timestamp_ms, log[number - 1].timestamp_ms)
        )
    moments = [event.recorded_at for event in events] or []
    at = random.choice(moments) if moments else datetime.fromisoformat("2026-03-01T12:00:00+00:00")

    async def ask(folder: str) -> None:
        for owner in OWNERS:
            with asked(
                Path(folder) / owner.subject, log, shared_keys, owner.tenant, archived=archived
            ) as audit:
                found = told((await audit.as_of(at, user_id=owner.user_id))["results"])
                for way in FOLDS:
                    assert found == way(log, shared_keys, owner.tenant, owner.user_id, at), way.__name__

    with TemporaryDirectory() as folder:
        asyncio.run(ask(folder))
