"""How far the log of a home is sealed: for `memfold status` and for metrics. Nothing is verified here but the newest note's signature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from memfold.audit.checkpoints import Heads
from memfold.audit.seal_errors import NoteRefused
from memfold.audit.seal_files import SealFiles
from memfold.audit.seal_key import seal_verifier


@dataclass(frozen=True, slots=True)
class Sealed:
    """The newest seal: when it was made, in seconds since 1970 by the sealer's clock, and the records that it does not cover."""

    at: float
    unsealed: Mapping[tuple[str, int], int]


def sealed_until(home: Path, ends: Mapping[tuple[str, int], int]) -> Sealed | None:
    """`ends`: {(topic, partition): offset that the next record gets}. None where nothing was sealed, or the newest note is refused."""
    heads = _newest(home / "seals")
    if heads is None:
        return None
    sizes = {(head.tree.topic, head.tree.partition): head.size for head in heads.heads}
    unsealed = {place: max(0, end - sizes.get(place, 0)) for place, end in ends.items()}
    return Sealed(heads.time / 1000, unsealed)


def _newest(folder: Path) -> Heads | None:
    try:
        return SealFiles(folder).newest_heads(seal_verifier(folder))
    except NoteRefused:
        # What is wrong with it is for `audit verify` to say.
        return None
