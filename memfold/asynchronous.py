"""AsyncMemory: what a caller has in hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from memfold.asking import Asking
from memfold.audit.auditor import Auditor
from memfold.audit.face import AsyncAudit
from memfold.memory.readers import reading
from memfold.serve.mem0_config import MemoryConfig, settings_of
from memfold.taking_back import TakingBack
from memfold.telling import Telling


class AsyncMemory(Telling, TakingBack, Asking):
    """An agent's memory, over the stack that runs in `home`, or over one that it starts and stops with the block.

    `settings` are those of `memfold config`. Use as `async with AsyncMemory() as memory`, or call `connect` and `close`.
    Raises on connecting: BrokerUnreachable, TopicMisconfigured, WrongKey, InvalidInput.
    """

    @classmethod
    def from_config(cls, config_dict: Mapping[str, Any] | MemoryConfig, **settings: Any) -> Self:
        """From a configuration as Mem0 writes it, with memfold's own `settings` beside it; see docs/providers.md.

        Raises InvalidInput naming the field; warns once (IgnoredSetting) of what has no effect here.
        """
        return cls(**settings_of(config_dict), **settings)

    reading = staticmethod(reading)

    @property
    def audit(self) -> AsyncAudit:
        """Questions to the full log: SQL over it, where a memory comes from, what changed, what was known at a moment."""
        return AsyncAudit(self._auditor)

    async def _auditor(self) -> Auditor:
        return (await self._ready()).auditor
