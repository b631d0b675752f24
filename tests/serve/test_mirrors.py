"""A mirror of a real deployment: filled, kept current by a process that is killed, searched, verified and removed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from memfold import AsyncMemory
from memfold.memory.errors import InvalidInput
from memfold.memory.filters import All, Condition, Either, Filter
from memfold.memory.ports import Hit
from memfold.schemas.partitions import EVENTS, partition_of
from memfold.schemas.records import Scope
from memfold.serve import mirroring
from memfold.serve.embedded import running_stack
from memfold.serve.mirrors import Mirrors
from memfold.serve.parts import Parts
from memfold.serve.settings import Settings
from memfold.serve.view_client import ViewClient, views_of
from memfold.serve.view_nearest import nearest
from memfold.stores.searching import NearestAsked
from tests.stores.weaviate_server import WeaviateServer, needs_weaviate

USER = "mira"
ANY = All()
Store = tuple[str, dict[str, Any]]
"""A provider and what is to be set of it."""


@pytest.fixture(params=["qdrant", pytest.param("weaviate", marks=needs_weaviate)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "qdrant":
        yield "qdrant", {"path": str(tmp_path / "qdrant")}
        return
    server = WeaviateServer(tmp_path)
    yield "weaviate", server.settings
    server.kill()


def keep(stack: Settings, name: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "memfold.serve.cli", "projection", "run", name]
    return subprocess.Popen(command, env=os.environ | {"MEMFOLD_HOME": str(stack.home)})


async def caught_up(stack: Settings, views: ViewClient, role: str) -> None:
    """Until the mirror has applied what is in the log now."""
    parts = await asyncio.to_thread(Parts.open, stack, running_stack(stack))
    for partition in range(parts.partitions):
        _, end = parts.reader.bounds(EVENTS, partition)
        if end:
            assert await views.reach(role, partition, end - 1, 120)
    await parts.close()


async def asked(
    memory: AsyncMemory, stack: Settings, views: ViewClient, text: str, only: Filter = ANY
) -> list[Hit]:
    embedder = (await memory._ready()).recalling.embedder
    (vector,) = await embedder.embed([text])
    scope, meant = Scope(USER), vector.tobytes()
    question = NearestAsked(stack.tenant, None, scope, meant, text, 3, only, model=embedder.model)
    return await nearest(views, "mirror-q", question)


@pytest.mark.timeout(600)
async def test_a_mirror_is_filled_kept_current_killed_searched_and_verified(
    stack: Settings, memory: AsyncMemory, store: Store
) -> None:
    provider, config = store
    said = ["I love hiking in the Alps", "My sister plays tennis", "I work at a bakery"]
    for text in said:
        await memory.add(text, user_id=USER, infer=False, metadata={"length": len(text)})
    await asyncio.to_thread(mirroring.add, stack, "q", provider, config, "kafka", lambda built: None)
    with pytest.raises(InvalidInput, match="of another store"):
        await asyncio.to_thread(mirroring.add, stack, "q", "qdrant", {"path": "/x"}, "kafka", lambda b: None)
    views = views_of(stack)
    process = keep(stack, "q")
    try:
        await caught_up(stack, views, "mirror-q")
        with pytest.raises(InvalidInput, match="keeps the mirror 'q'"):
            await asyncio.to_thread(mirroring.remove, stack, "q", False)
        writing = asyncio.gather(
            *(memory.add(f"note {number}", user_id=f"user{number % 7}", infer=False) for number in range(40))
        )
        await asyncio.sleep(Random(3).random())  # the moment of the kill, not a wait for anything
        process.send_signal(signal.SIGKILL)
        process.wait()
        await writing
        process = keep(stack, "q")
        await caught_up(stack, views, "mirror-q")
        assert (await asked(memory, stack, views, "sports with a racket"))[0].row.text == said[1]
        with pytest.raises(InvalidInput, match="embedded by another, the mirror by"):
            await nearest(
                views, "mirror-q", NearestAsked(stack.tenant, None, Scope(USER), b"", "", 3, model="another")
            )
        # What a store is not asked: metadata, and an alternative.
        short = All(
            (Either((Condition("metadata.length", "lt", 20), Condition("memory", "contains", "Alps"))),)
        )
        found = await asked(memory, stack, views, "sports with a racket", short)
        assert {hit.row.text for hit in found} == {said[0], said[2]}
        await memory.delete_all(user_id=USER)
        await caught_up(stack, views, "mirror-q")
        assert await asked(memory, stack, views, "tennis") == []
        compared = await asyncio.to_thread(mirroring.verify, stack, "q", "kafka")
        assert {one.partition for one in compared if one.equal} == {*range(4)}
        (status,) = await asyncio.to_thread(mirroring.all_of, stack)
        home = partition_of(stack.tenant, "", 4)
        assert status.pid == process.pid
        assert home in status.positions
    finally:
        process.terminate()
        process.wait()
        await views.close()
    compared = await asyncio.to_thread(mirroring.verify, stack, "q", "kafka")
    assert all(one.equal for one in compared)
    mirrors = Mirrors(stack.folder)
    made = mirrors.made_by("q")
    assert made is not None
    mirrors.make("q", replace(made, model="another"))
    with pytest.raises(InvalidInput, match="'q' does not have vectors of wordllama"):
        await asyncio.to_thread(mirroring.add, stack, "q", provider, config, "kafka", lambda built: None)
    await asyncio.to_thread(mirroring.remove, stack, "q", False)
    assert await asyncio.to_thread(mirroring.all_of, stack) == []
