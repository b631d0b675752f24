from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from memfold.memory.errors import InvalidInput, InvalidType
from memfold.memory.moments import CLOCKS_DIFFER, checked_moment

MARCH = datetime(2026, 3, 3, 10, tzinfo=UTC)


def test_a_moment_may_be_told_in_three_ways() -> None:
    for told in (
        MARCH,
        MARCH.replace(tzinfo=None),
        "2026-03-03T10:00:00Z",
        "2026-03-03T12:00+02:00",
        MARCH.timestamp(),
    ):
        assert checked_moment(told) == MARCH
    assert checked_moment(None) is None


def test_what_is_still_to_come_is_refused_but_a_clock_may_be_a_little_ahead() -> None:
    now = datetime.now(UTC)
    assert checked_moment(now + CLOCKS_DIFFER / 2) is not None
    with pytest.raises(InvalidInput, match=r"as_of .* is still to come"):
        checked_moment(now + timedelta(hours=1))


def test_before_the_epoch_there_was_nothing() -> None:
    assert checked_moment("0001-01-01T00:00:00Z") == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("told", ["last march", float("nan"), 1e300, "0001-01-01T00:00:00+05:00"])
def test_what_is_no_time_is_named(told: object) -> None:
    with pytest.raises(InvalidInput, match="as_of"):
        checked_moment(told)


@pytest.mark.parametrize("told", [True, [2026], b"2026"])
def test_what_cannot_be_a_time_is_named(told: object) -> None:
    with pytest.raises(InvalidType, match="as_of"):
        checked_moment(told)
