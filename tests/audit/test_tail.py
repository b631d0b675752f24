"""The rows behind the archive: each record read once, none missing, none twice, however the archive moves."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memfold.audit.tail import TailRows
from memfold.memory.errors import LogTruncated
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import LogRecord
from tests.audit.logs import ListTail


def log(count: int) -> list[LogRecord]:
    return [LogRecord(EVENTS, 0, n, n, b"", b"%d" % n) for n in range(count)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-3, 9)), max_size=30))
def test_it_is_the_log_behind_the_archive(moves: list[tuple[int, int]]) -> None:
    """The log grows, the archive follows, and now and then an older listing of the archive is seen."""
    tail = ListTail([])
    rows = TailRows(tail, EVENTS, 0)
    archived = -1
    for grown, moved in moves:
        tail.partitions[0] = log(len(tail.partitions[0]) + grown)
        archived = min(max(-1, archived + moved), len(tail.partitions[0]) - 1)
        assert rows.after(archived).column("offset").to_pylist() == list(
            range(archived + 1, len(tail.partitions[0]))
        )


def test_each_record_is_read_once() -> None:
    tail = ListTail(log(1))
    rows = TailRows(tail, EVENTS, 0)
    for count in range(1, 201):
        tail.partitions[0] = log(count)
        table = rows.after(-1)
        assert len(table) == count
        assert table.column("offset").num_chunks <= 65
    assert tail.asked == list(range(-1, 199))


def test_records_that_the_log_lost_are_missed() -> None:
    class Shortened(ListTail):
        def records_after(self, topic: str, partition: int, offset: int) -> list[LogRecord]:
            return super().records_after(topic, partition, offset)[1:]

    with pytest.raises(LogTruncated, match=r"memfold\.events/0: .* behind offset 4 "):
        TailRows(Shortened(log(9)), EVENTS, 0).after(4)
