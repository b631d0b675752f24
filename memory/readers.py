"""Who reads, and what for: of a client by its settings, of the calls inside a block as the block says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from msgspec import Struct

from memfold.memory.scopes import checked_id


class Reader(Struct, frozen=True):
    """None where it is not said."""

    actor: str | None = None
    purpose: str | None = None

    def over(self, other: Reader) -> Reader:
        """What this says, and where it says nothing what the other does."""
        return Reader(self.actor or other.actor, self.purpose or other.purpose)


_inside: ContextVar[Reader | None] = ContextVar("memfold_reader", default=None)


@contextmanager
def reading(*, purpose: str | None = None, actor: str | None = None) -> Iterator[None]:
    """Reads inside this block are for `purpose` and by `actor`, in this thread or task; blocks may stand in each other.

    Raises InvalidInput, InvalidType.
    """
    said = Reader(checked_id("actor", actor), checked_id("purpose", purpose))
    before = _inside.set(said.over(_inside.get() or Reader()))
    try:
        yield
    finally:
        _inside.reset(before)


def reader(client: Reader) -> Reader:
    """Who reads here and what for; `client` where no block says."""
    said = _inside.get()
    return client if said is None else said.over(client)
