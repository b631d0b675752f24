"""A stretch of days, and the arithmetic of "last week", "two months ago" and "next Friday" from a given day.

Weeks are ISO 8601's, Monday to Sunday. What is said loosely ("a few days ago") has no period.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from dateutil.relativedelta import relativedelta

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
UNITS = ("day", "week", "weekend", "month", "year")


@dataclass(frozen=True, slots=True)
class Period:
    """From the first day to the last, both inside."""

    first: date
    last: date

    @property
    def iso(self) -> str:
        """ISO 8601: one date, or start/end."""
        return str(self.first) if self.first == self.last else f"{self.first}/{self.last}"

    @property
    def begins(self) -> datetime:
        return datetime.combine(self.first, time(), UTC)

    def __str__(self) -> str:
        """As one would write it: "7 May 2023", "1 to 7 May 2023", "May 2023", "2023"."""
        first, last = self.first, self.last
        if self == year(first):
            return f"{first:%Y}"
        if self == month(first):
            return f"{first:%B %Y}"
        end = f"{last.day} {last:%B %Y}"
        if first == last:
            return end
        if first.year != last.year:
            return f"{first.day} {first:%B %Y} to {end}"
        return f"{first.day} to {end}" if first.month == last.month else f"{first.day} {first:%B} to {end}"


def day(at: date) -> Period:
    return Period(at, at)


def week(at: date) -> Period:
    monday = at - timedelta(days=at.weekday())
    return Period(monday, monday + timedelta(days=6))


def weekend(at: date) -> Period:
    """Saturday and Sunday of the day's week."""
    return Period(week(at).last - timedelta(days=1), week(at).last)


def month(at: date) -> Period:
    return Period(at.replace(day=1), at + relativedelta(day=31))


def year(at: date) -> Period:
    return Period(date(at.year, 1, 1), date(at.year, 12, 31))


def counted(today: date, count: int, unit: str) -> Period:
    """The unit that lies `count` units from today's, before it for a negative count: -1, "week" is last week."""
    if unit == "day":
        return day(today + relativedelta(days=count))
    if unit in {"week", "weekend"}:
        return (week if unit == "week" else weekend)(today + relativedelta(weeks=count))
    if unit == "month":
        return month(today + relativedelta(months=count))
    return year(today + relativedelta(years=count))


def weekday(today: date, name: str, step: int) -> Period:
    """The nearest such day before (-1) or after (1) today, today left out."""
    wanted = WEEKDAYS.index(name)
    if step < 0:
        return day(today - timedelta(days=(today.weekday() - wanted - 1) % 7 + 1))
    return day(today + timedelta(days=(wanted - today.weekday() - 1) % 7 + 1))
