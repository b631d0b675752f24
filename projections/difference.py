"""What a served shard holds otherwise than the log says, told down to the memory: the lowest level of a digest's tree.

A partition has a digest; where two of one partition differ, what is below is compared: memories, of a memory its versions or
relations, and of each of those its fields.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

What = Literal["missing", "extra", "differs", "twice", "unreadable", "not indexed"]
"""`extra`: the log says nothing of it. `not indexed`: it is there, and whoever looks through an index does not see it."""


class Difference(Struct, frozen=True):
    """One version or one relation of a memory. Never says what stands there: only where, and which fields."""

    memory_id: str
    """"" where nothing tells whose it is."""
    part: str
    """"version 2", "relation <assertion id>"."""
    what: What
    fields: tuple[str, ...] = ()
    offset: int | None = None
    """Of the event that last made it, as the log says; None where no event did."""
    ended: datetime | None = None
    """When the log learnt that a relation had ended: the event of that moment made it last, and `offset` is of the one before."""
