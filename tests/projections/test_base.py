"""The fence: of several events for one command the first counts, and nothing is applied twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from memfold.projections.base import Position, fenced
from memfold.schemas.records import Envelope, Event, MemoriesDecided

NOW = datetime(2026, 3, 3, tzinfo=UTC)


def events(commands: Sequence[int]) -> list[Event]:
    """A partition of the log: the event at each offset answers the command at the offset given."""
    return [
        Event(
            0,
            offset,
            NOW,
            Envelope("e", "memories_decided", "t", "s", "c", NOW, b"", "k", b"", command),
            MemoriesDecided("decided"),
        )
        for offset, command in enumerate(commands)
    ]


def test_a_retry_and_a_zombies_late_event_are_ignored() -> None:
    counted, after = fenced(events([0, 1, 1, 0, 4, 3, 5]), Position())
    assert [event.offset for event in counted] == [0, 1, 4, 6]
    assert after == Position(offset=6, command_offset=5, applied=4, ignored=3)


@given(st.lists(st.integers(0, 9), max_size=30), st.lists(st.integers(0, 30), max_size=6))
def test_batches_and_redelivery_change_nothing(commands: list[int], cuts: list[int]) -> None:
    log = events(commands)
    wanted, highest = [], -1
    for event in log:
        if event.envelope.command_offset > highest:
            highest = event.envelope.command_offset
            wanted.append(event.offset)
    position, found = Position(), list[int]()
    for cut in [*sorted(cuts), len(log)]:
        # Every batch begins at the log's start again: what was applied already must be passed over.
        counted, position = fenced(log[:cut], position)
        found += [event.offset for event in counted]
    assert found == wanted
    assert position.applied + position.ignored == len(log) == position.offset + 1
