"""Adding as a caller would while processes die: again with the same key, until it is known to be there."""

from __future__ import annotations

from typing import Any

from memfold import AsyncMemory
from memfold.memory.errors import NotVisibleYet, WriteUnknown


async def add_until_there(memory: AsyncMemory, text: str, key: str, **whose: Any) -> str:
    """Its command id."""
    while True:
        try:
            done = await memory.add(text, infer=False, idempotency_key=key, **whose)
        except (WriteUnknown, NotVisibleYet):
            continue
        return str(done["receipt"]["command_id"])
