"""What a question is about: whose data, which memory, which stretch of the log. Applied to clear columns before a body is opened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

from msgspec import Struct

from memfold.memory.errors import InvalidInput, InvalidType
from memfold.memory.scopes import checked_id
from memfold.schemas.records import Scope

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Directory(Protocol):
    """Which random id stands for whom, and who a random id is."""

    def known_subject(self, tenant: str, kind: str, name: str) -> str | None: ...
    def name_of(self, subject: str) -> str | None: ...
    def subjects(self, tenant: str) -> list[tuple[str, str, str | None]]: ...


class Bounds(Struct, frozen=True):
    """The bounds of one question. Times are the broker's, in milliseconds: `since` <= time < `until`.

    `after`: only rows behind these offsets, one a partition, -1 for all. `subject` is the one that `scope.user_id` names; None:
    any of the tenant; "": somebody that this deployment has never seen.
    """

    tenant: str
    scope: Scope = Scope()
    subject: str | None = None
    memory_id: str | None = None
    since: int | None = None
    until: int | None = None
    partition: int | None = None
    after: tuple[int, ...] = ()


def checked_bounds(
    tenant: str,
    directory: Directory,
    *,
    user_id: object = None,
    agent_id: object = None,
    run_id: object = None,
    memory_id: object = None,
    since: object = None,
    until: object = None,
    partition: object = None,
) -> Bounds:
    """The bounds that a caller gives. `since` and `until`: aware datetimes or ISO 8601 text.

    Raises InvalidInput, InvalidType, naming the argument.
    """
    scope = Scope(
        checked_id("user_id", user_id), checked_id("agent_id", agent_id), checked_id("run_id", run_id)
    )
    subject = None
    if scope.user_id is not None:
        subject = directory.known_subject(tenant, "user", scope.user_id) or ""
    if partition is not None and (not isinstance(partition, int) or isinstance(partition, bool)):
        raise InvalidType(f"partition must be a number, not {type(partition).__name__}")
    bounds = Bounds(
        tenant,
        scope,
        subject,
        checked_id("memory_id", memory_id),
        None if since is None else millis(checked_moment("since", since)),
        None if until is None else millis(checked_moment("until", until)),
        partition,
    )
    if bounds.since is not None and bounds.until is not None and bounds.since >= bounds.until:
        raise InvalidInput(f"since {since} is not before until {until}; nothing lies between them")
    return bounds


def checked_moment(name: str, value: object) -> datetime:
    """A moment in UTC: an aware datetime, or ISO 8601 text (a date alone is its midnight in UTC). Raises InvalidInput, InvalidType."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidInput(
                f"{name} {value!r} is no time; write 2026-03-03 or 2026-03-03T14:30:00+00:00"
            ) from None
        value = value if value.tzinfo else value.replace(tzinfo=UTC)
    if not isinstance(value, datetime):
        raise InvalidType(f"{name} must be a datetime or ISO 8601 text, not {type(value).__name__}")
    if value.tzinfo is None:
        raise InvalidInput(
            f"{name} {value} has no time zone; pass an aware datetime, such as datetime.now(UTC)"
        )
    return value.astimezone(UTC)


def millis(moment: datetime) -> int:
    """The first whole millisecond since 1970 that is not before a moment: no record of an earlier one is at or after it."""
    micros = (moment - _EPOCH) // _MICROSECOND
    return -(-micros // 1000)


def until_with(moment: datetime) -> int:
    """`until` for the log up to a moment, with what was appended in that very millisecond."""
    return millis(moment + _MICROSECOND)
