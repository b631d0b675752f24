"""Adding as a caller would while processes die: again with the same key, until it is known to be there."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from itertools import count
from typing import Any

from memfold import AsyncMemory
from memfold.memory.errors import NotVisibleYet, WriteUnknown
from memfold.serve.settings import Settings


@dataclass(frozen=True, slots=True)
class Added:
    """What `adding` added: command ids, and the longest that one add took, in seconds."""

    command_ids: list[str]
    longest: float


def memory_of(settings: Settings, patience: float = 30.0) -> AsyncMemory:
    """A caller of the deployment."""
    keys = None if settings.key_store is None else settings.key_store.get_secret_value()
    servers = settings.bootstrap_servers
    return AsyncMemory(home=settings.home, bootstrap_servers=servers, key_store=keys, patience=patience)


async def add_until_there(
    memory: AsyncMemory, text: str, key: str, *, wait: bool = True, **whose: Any
) -> str:
    """Its command id."""
    while True:
        try:
            done = await memory.add(text, infer=False, idempotency_key=key, wait=wait, **whose)
        except (WriteUnknown, NotVisibleYet):
            continue
        return str(done["receipt"]["command_id"])


async def adding(
    settings: Settings, done: asyncio.Event, *, at_once: int = 10, users: int = 16, patience: float = 90.0
) -> Added:
    """Adds of users in every partition, so many at a time, until `done`. Each is found, once."""
    names = [f"user-{uuid.uuid4().hex[:8]}" for _ in range(users)]
    numbers, ids = count(), list[str]()
    texts: dict[str, list[str]] = {name: [] for name in names}
    longest = 0.0
    async with memory_of(settings, patience) as memory:

        async def one_after_the_other() -> None:
            nonlocal longest
            while not done.is_set():
                number, began = next(numbers), time.monotonic()
                name, text = names[number % users], f"fact {number}"
                texts[name].append(text)
                ids.append(await add_until_there(memory, text, f"{name}/{number}", user_id=name))
                longest = max(longest, time.monotonic() - began)

        await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
        for name, expected in texts.items():
            listed = await memory.get_all(user_id=name, limit=len(ids) + 1)
            assert sorted(found["memory"] for found in listed["results"]) == sorted(expected)
    print(f"{len(ids)} adds, the longest took {longest:.1f} s")
    return Added(ids, longest)
