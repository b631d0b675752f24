"""What a transcript writes around the words: "(08 May 2023) Caroline: I went …" is Caroline's, of that day, and says "I went …".

A vector of the whole line lies near every other line of that day and that speaker; one of the words alone lies near their meaning.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

_DATED = re.compile(r"\s*[(\[]([^)\]\n]{6,40})[)\]]:?\s+")
_NAMED = re.compile(r"([^\W\d_][\w.'’-]*(?: [^\W\d_][\w.'’-]*){0,2}):\s+(?=\S)")
_FORMS = (
    "%d %B %Y",
    "%d %b %Y",
    "%B %d, %Y",
    "%b %d, %Y",
    "%d %B, %Y",
    "%I:%M %p on %d %B, %Y",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M:%S",
)


class Framed(NamedTuple):
    """A text without its frame. `label`: what stands before a colon, which need not be a speaker ("Diet: vegetarian")."""

    words: str
    day: datetime | None
    label: str


def framed(text: str) -> Framed:
    """The frame that a text begins with, if it has one."""
    start, day = 0, None
    if (dated := _DATED.match(text)) and (day := _day(dated[1])):
        start = dated.end()
    named = _NAMED.match(text, start)
    if named is None:
        return Framed(text[start:] or text, day, "")
    return Framed(text[named.end() :], day, named[1])


def embedded(text: str) -> str:
    """What of a memory's text is embedded. A label is taken for a speaker only behind a date: elsewhere it may be the subject."""
    found = framed(text)
    if found.day is None:
        return text
    return found.words


@lru_cache(maxsize=10_000)
def _day(text: str) -> datetime | None:
    for form in _FORMS:
        try:
            return datetime.strptime(text.strip(), form).replace(tzinfo=UTC)
        except ValueError:
            continue
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
