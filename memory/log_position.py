"""A place in the whole log as one opaque text: of each partition which change comes next.

The text holds numbers only. It names nobody, and it opens nothing: whoever goes on from it is asked for his own scope again.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from memfold.memory.errors import InvalidInput
from memfold.memory.moments import checked_moment

_MARK = "p1."
_Number = Annotated[int, Meta(ge=0, le=2**53)]

Place = tuple[_Number, _Number]
"""Offset of an event, and how many of its changes are over."""


class LogPosition(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """`partitions`: how many the log has. `at`: milliseconds since 1970 of the newest event before it, by the broker's clock."""

    partitions: _Number
    at: _Number
    places: dict[_Number, Place]

    def text(self) -> str:
        return _MARK + urlsafe_b64encode(_encoder.encode(self)).decode().rstrip("=")

    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.at / 1000, UTC)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(LogPosition)

Since = LogPosition | datetime | None


def position(partitions: int, at: int, places: Mapping[int, Place]) -> str:
    """The text of a place."""
    return LogPosition(partitions, at, dict(places)).text()


def checked_since(since: object) -> Since:
    """A position as a change carries it, a moment (as for `as_of`), None for now. Raises InvalidInput, InvalidType."""
    if not isinstance(since, str) or not since.startswith(_MARK):
        return checked_moment(since, "since")
    try:
        data = since.removeprefix(_MARK)
        return _decoder.decode(urlsafe_b64decode(data + "=" * (-len(data) % 4)))
    except ValueError as wrong:
        raise InvalidInput(
            f"since {since!r:.80} is no position ({wrong}); pass one as a change carries it in 'position', or a moment"
        ) from None
