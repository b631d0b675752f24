"""Where the archive ends and the log goes on makes no difference, and neither does who folds the log."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from memfold.audit.history import DuckDBHistory
from memfold.projections.archive import ArchiveShard
from memfold.projections.base import Position, fenced
from memfold.schemas.errors import Unreadable
from memfold.schemas.keystore import KeyStore
from memfold.schemas.opening import open_event
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import Event, LogRecord
from tests.audit.logs import KEK, ListTail, log_of
from tests.strategies import histories, randoms


@pytest.fixture(scope="module")
def shared_keys(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    """One for all examples: the subjects are the same in each, and a store takes long to make."""
    return KeyStore(tmp_path_factory.mktemp("keys") / "keys.db", KEK)


def all_that_count(log: list[LogRecord], keys: KeyStore) -> list[Event]:
    """Every event of the log opened, through the fence that all projections share."""
    events = []
    for record in log:
        try:
            events.append(open_event(record, keys))
        except Unreadable:
            continue
    return fenced(events, Position())[0]


def touching(events: list[Event], memory_id: str) -> list[Event]:
    """Those that name the memory, and from then on the clears of its subject and of its tenant."""
    found: list[Event] = []
    for event in events:
        mine = bool(found) and event.envelope.subject == found[0].envelope.subject
        tenant = bool(found) and event.envelope.tenant == found[0].envelope.tenant
        clears = event.body.clears
        if memory_id in event.envelope.memory_ids or (
            clears and (mine or (tenant and any(c.whole_tenant for c in clears)))
        ):
            found.append(event)
    return found


@settings(deadline=None, max_examples=20)
@given(histories(max_events=9), randoms())
def test_every_split_of_archive_and_tail(shared_keys: KeyStore, events: list[Event], random: Random) -> None:
    # Times in whole milliseconds, as a broker gives them.
    events = [
        replace(e, recorded_at=e.recorded_at.replace(microsecond=e.recorded_at.microsecond // 1000 * 1000))
        for e in events
    ]
    log = log_of(events, shared_keys)
    counted = all_that_count(log, shared_keys)
    ids = sorted({(e.envelope.tenant, m) for e in events for m in e.envelope.memory_ids})
    asked = random.sample(ids, min(1, len(ids)))
    expected = {memory: touching(counted, memory[1]) for memory in asked}

    async def ask(history: DuckDBHistory) -> None:
        for memory in asked:
            assert await history.events_of(*memory) == expected[memory]

    with TemporaryDirectory() as folder, closing(ArchiveShard(Path(folder), EVENTS, 0)) as shard:
        with closing(DuckDBHistory(Path(folder), 1, ListTail(log), shared_keys)) as history:
            for record in [None, *log]:
                shard.append([record] if record else [])
                asyncio.run(ask(history))
        with closing(DuckDBHistory(Path(folder), 1, ListTail(log), shared_keys)) as history:
            asyncio.run(ask(history))
