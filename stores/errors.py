"""What goes wrong with a store, in memfold's own errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from memfold.memory.errors import MemfoldError


class StoreUnavailable(MemfoldError, ConnectionError):
    """A vector store does not answer; nothing is lost, the log has the events. Do: start it, or correct the address that is named."""


class StoreRefused(MemfoldError, RuntimeError):
    """A vector store refused what it was given. Do: mend what the message names; the mirror goes on from its position."""


class ExtraMissing(MemfoldError, ImportError):
    """The client of a vector store is not installed. Do: install the extra that the message names."""


@contextmanager
def store_errors(
    where: str, unreachable: tuple[type[Exception], ...], refused: tuple[type[Exception], ...]
) -> Iterator[None]:
    """What a client raises inside becomes StoreUnavailable or StoreRefused, naming the store; the former where it is both."""
    try:
        yield
    except MemfoldError:
        raise
    except (*unreachable, *refused) as failure:
        why = f"{type(failure).__name__}: {failure}"
        # Some clients tell a refused connection as a ValueError that is raised because of it.
        if isinstance(failure, unreachable) or isinstance(
            failure.__cause__ or failure.__context__, unreachable
        ):
            raise StoreUnavailable(
                f"{where} does not answer ({why}); start it or correct its address. The mirror goes on from its position"
            ) from failure
        raise StoreRefused(f"{where} refused: {why}") from failure
