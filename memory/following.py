"""An embedder that follows what is served: it may be another one from one moment to the next, so each question pins it first."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from memfold.memory.ports import Embedder


@runtime_checkable
class Following(Protocol):
    """Knows the embedder of the served generation: the same object for as long as the model is the same."""

    def served(self) -> Embedder: ...


def pinned(embedder: Embedder) -> Embedder:
    """The embedder that is served at this moment, which stays what it is. Raises InvalidInput where it cannot be made."""
    return embedder.served() if isinstance(embedder, Following) else embedder
