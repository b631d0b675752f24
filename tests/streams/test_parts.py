"""The small parts of the streams, each alone: ledger, progress, outcomes, states."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from memfold.memory.ports import Hit, MemoryRow, Vectors
from memfold.schemas.records import Envelope, Scope
from memfold.streams.ledger import HELD, Ledger
from memfold.streams.outcomes import Outcomes
from memfold.streams.progress import Progress
from memfold.streams.states import States


def envelope(command: int) -> Envelope:
    now = datetime.now(UTC)
    return Envelope(f"e{command}", "memories_decided", "t", "s", f"c{command}", now, b"", "k", b"", command)


@given(st.lists(st.integers(0, 12), max_size=30), st.integers(1, 5))
def test_the_ledger_keeps_the_first_event_of_each_command(commands: list[int], size: int) -> None:
    """A retry or a zombie's event has a command offset that is not above the last one: it changes nothing."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "l.db")
        events = [(offset, envelope(command)) for offset, command in enumerate(commands)]
        for start in range(0, len(events), size):
            batch = events[start : start + size]
            ledger.record(batch, batch[-1][0] + 1)
        fence, expected = -1, {}
        for offset, command in enumerate(commands):
            if command > fence:
                fence, expected[f"c{command}"] = command, offset
        assert {f"c{c}": ledger.offset_of(f"c{c}") for c in range(13) if f"c{c}" in expected} == expected
        ledger.close()
        again = Ledger(Path(folder) / "l.db")
        assert (again.offset, again.command_offset) == (len(commands) - 1, fence)
        again.close()


def test_a_ledger_that_was_killed_stands_behind_the_log_and_reads_it_again(tmp_path: Path) -> None:
    events = [(offset, envelope(offset)) for offset in range(3 * HELD // 2)]
    killed = Ledger(tmp_path / "l.db")
    for event in events:
        killed.record([event], event[0] + 1)
    # Not closed: what another process finds is what was written.
    again = Ledger(tmp_path / "l.db")
    assert -1 < again.offset < killed.offset
    assert again.command_offset == again.offset
    assert again.offset_of(f"c{killed.offset}") is None
    again.record(events[again.offset + 1 :], len(events))
    assert [again.offset_of(one.command_id) for _, one in events] == [offset for offset, _ in events]
    again.close()


async def test_progress_wakes_those_who_wait_and_only_them() -> None:
    progress = Progress()
    near = asyncio.create_task(progress.reach(0, 5, 10))
    far = asyncio.create_task(progress.reach(0, 9, 10))
    await asyncio.sleep(0)
    progress.advance(0, 5)
    assert await near
    assert not far.done()
    progress.advance(0, 12)
    assert await far
    assert not await progress.reach(1, 0, 0.01)


async def test_outcomes_are_known_or_come_or_do_not() -> None:
    outcomes = Outcomes(kept_bytes=10)
    waiting = asyncio.create_task(outcomes.wait("a", 10))
    await asyncio.sleep(0)
    outcomes.settle("a", 3, b"12345678")
    assert await waiting == (3, b"12345678")
    outcomes.settle("b", 4, b"12345678")
    assert outcomes.known("a") is None
    assert outcomes.known("b") == (4, b"12345678")
    assert await outcomes.wait("never", 0.01) is None


class Index:
    """A vector projection that stands at `at` and holds one memory for each subject."""

    def __init__(self, at: int) -> None:
        self.at, self.loads = at, 0

    async def position(self, partition: int) -> int:
        return self.at

    async def current(
        self, tenant: str, subject: str | None, scope: Scope, limit: int | None, only: object = None
    ) -> list[MemoryRow]:
        self.loads += 1
        now = datetime.now(UTC)
        return [
            MemoryRow(tenant, subject or "", f"m-{subject}", 1, "text", Scope(user_id=subject), now, now, now)
        ]

    async def texts(self, tenant: str, subject: str) -> list[tuple[str, Scope]]:
        raise AssertionError("a state is asked for")

    async def search(
        self, tenant: str, subject: str | None, scope: Scope, vector: Vectors, limit: int, only: object = None
    ) -> list[Hit]:
        raise AssertionError("decide never searches")

    async def find(self, tenant: str, memory_ids: Sequence[str]) -> list[MemoryRow]:
        raise AssertionError("decide never looks a memory up")

    async def holders(self, memory_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        return {}

    async def pending(self, tenant: str) -> dict[str, int]:
        raise AssertionError("decide never counts what is pending")


async def test_a_state_is_loaded_once_and_not_before_the_projection_has_caught_up() -> None:
    index = Index(at=3)
    states = States(0, index, floor=7)
    loading = asyncio.create_task(states.of("t", "alex"))
    done, _ = await asyncio.wait([loading], timeout=0.1)
    assert not done
    assert index.loads == 0
    index.at = 7
    state = await loading
    assert list(state.memories) == ["m-alex"]
    assert await states.of("t", "alex") is state
    assert index.loads == 1


async def test_a_subject_that_was_put_out_is_not_read_before_its_last_event_is_in_view() -> None:
    index = Index(at=0)
    states = States(0, index, floor=-1, limit=2)
    await states.of("t", "alex")
    states.admitted("t", "alex")
    states.appended("t", "alex", 40)
    await states.of("t", "bob")
    states.shrink()
    again = asyncio.create_task(states.of("t", "alex"))
    done, _ = await asyncio.wait([again], timeout=0.1)
    assert not done
    index.at = 40
    await again


async def test_a_subject_with_a_command_in_flight_stays_in_memory() -> None:
    index = Index(at=0)
    states = States(0, index, floor=-1, limit=2)
    states.admitted("t", "alex")
    states.admitted("t", "alex")
    state = await states.of("t", "alex")
    states.appended("t", "alex", 40)
    await states.of("t", "bob")
    await states.of("t", "carl")
    states.shrink()
    assert await states.of("t", "alex") is state
    states.appended("t", "alex", 41)
    await states.of("t", "bob")
    states.shrink()
    again = asyncio.create_task(states.of("t", "alex"))
    done, _ = await asyncio.wait([again], timeout=0.1)
    assert not done
    index.at = 41
    assert await again is not state
