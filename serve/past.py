"""Reads of what was known at a moment: the same verbs over the index, the feed and the graph as they stood then."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import datetime

from memfold.memory.corpora import Corpora
from memfold.memory.recalling import Recalling
from memfold.projections.vector_feed import LanceMemoryFeed
from memfold.projections.vector_index import LanceMemoryIndex
from memfold.projections.vector_past import LanceMemoryPast
from memfold.projections.vector_wide import LanceWideIndex
from memfold.serve.view_past import RelationsAsOf

MOMENTS = 8
"""Whose memories are kept read, the moments that were asked for last; each may keep an eighth of what now may."""
KEPT = 25_000


@dataclass(frozen=True, slots=True)
class Past:
    """Moments of one tenant, made from how it is read now."""

    now: Recalling
    index: LanceMemoryIndex
    feed: LanceMemoryFeed
    _kept: OrderedDict[datetime, Recalling] = field(default_factory=OrderedDict)

    def at(self, moment: datetime | None) -> Recalling:
        """What was known at a moment; None for now."""
        if moment is None:
            return self.now
        if moment not in self._kept:
            then = self.index.at(moment)
            self._kept[moment] = replace(
                self.now,
                index=then,
                wide=LanceWideIndex(then),
                corpora=Corpora(self.now.tenant, LanceMemoryPast(self.feed, moment), kept=KEPT),
                graph=RelationsAsOf(self.now.graph, moment),
            )
        self._kept.move_to_end(moment)
        if len(self._kept) > MOMENTS:
            self._kept.popitem(last=False)
        return self._kept[moment]
