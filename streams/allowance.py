"""How many commands of one subject may ask a model, as a bucket of tokens for each: `burst` at once, then `rate` a second.

What is promised: in any s seconds a subject is granted at most burst + rate x s, whatever it asks; what one subject asks takes
nothing from another; a subject that has rested is forgotten, so memory is bounded by who was busy of late.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable


class Allowance:
    """`rate` a second and `burst` at once, both above 0. `clock` gives seconds that never go back."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.burst, self._clock = rate, burst, clock
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()
        """When each bucket will be full again, the least recently used first; one that is full is not here."""

    def granted(self, subject: Hashable) -> bool:
        """Whether one more may ask now; takes a token if so."""
        now = self._clock()
        self._forget(now)
        full_at = max(now, self._full_at.get(subject, now)) + 1 / self.rate
        # A hair's breadth for sums of fractions.
        if full_at - now > self.burst / self.rate + 1e-9:
            return False
        self._full_at[subject] = full_at
        self._full_at.move_to_end(subject)
        return True

    def __len__(self) -> int:
        return len(self._full_at)

    def _forget(self, now: float) -> None:
        # At most two a call, so that no call has to pay for many: more leave than come.
        for _ in range(2):
            subject = next(iter(self._full_at), None)
            if subject is None or self._full_at[subject] > now:
                return
            del self._full_at[subject]
