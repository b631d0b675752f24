"""What a verification found of one shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memfold.projections.difference import Difference


@dataclass(frozen=True, slots=True)
class Compared:
    """One shard of the served generation beside the same shard built from the log up to the same offset.

    `served` is "" for a shard that cannot be read; `damage` says why. Where the digests are equal there may be differences still: a
    digest knows nothing of indices and of the offsets of events.
    """

    projection: str
    partition: int
    offset: int
    served: str
    built: str
    differences: Sequence[Difference] = ()
    damage: str = ""

    @property
    def equal(self) -> bool:
        return self.served == self.built and not self.differences and not self.damage

    @property
    def verdict(self) -> str:
        """ "equal", "differs" or "damaged"."""
        if self.equal:
            return "equal"
        return "damaged" if self.damage else "differs"
