"""Bits flipped in the files of a running stack: the scrub sees it, `verify` names memory and event, `--repair` mends under writes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tenacity import AsyncRetrying, retry_if_result, stop_after_delay, wait_fixed

from memfold import AsyncMemory
from memfold.infra.ports import free_ports
from memfold.projections.generations import Generations
from memfold.projections.vector_snapshot import VectorSnapshot
from memfold.serve.cli_verify import DIFFERS, REPAIRED
from memfold.serve.running import status_now
from memfold.serve.settings import Settings
from tests.replay.archived_log import DIMENSIONS
from tests.replay.test_verify import a_row, flip, flip_in
from tests.serve.checks import everything_holds, settled
from tests.serve.stacks import running_in
from tests.serve.test_cli import run
from tests.serve.test_metrics import asked, samples, total


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A stack of its own, for its files are damaged; its scrub takes half of the time."""
    home = tmp_path_factory.mktemp("damaged")
    with running_in(home, metrics={"port": free_ports(1)[0]}, scrub_share=0.5) as settings:
        yield settings


async def filled(memory: AsyncMemory) -> str:
    user = f"damaged-{uuid.uuid4().hex[:8]}"
    await memory.add("I met Sarah from Google", user_id=user)
    await memory.add_many([{"messages": f"fact {n} of {user}"} for n in range(80)], user_id=user, infer=False)
    return user


def served(settings: Settings, projection: str, partition: int) -> Path:
    each = Generations(settings.folder / "projections", projection)
    return each.shard_path(each.served(), partition)


def fullest(settings: Settings) -> int:
    """The partition with the most memories."""
    sizes = {
        partition: len(VectorSnapshot(served(settings, "vector", partition), DIMENSIONS).values("row_id"))
        for partition in range(settings.partitions)
    }
    return max(sizes, key=lambda partition: sizes[partition])


async def committed(settings: Settings) -> None:
    """Until all that was folded is in the vector shards' tables, where the scrub looks: a worker that rests commits it."""
    (vector,) = [role for role in (await status_now(settings))["roles"] if role["role"] == "vector"]
    patience = AsyncRetrying(stop=stop_after_delay(60), wait=wait_fixed(0.2), reraise=True)
    for partition, position in vector["positions"].items():
        async for attempt in patience.copy():
            with attempt:
                snapshot = VectorSnapshot(served(settings, "vector", partition), DIMENSIONS)
                assert snapshot.position.offset == position


async def scrub(settings: Settings, wanted: bool) -> dict[str, Any]:
    """What `status` says of the scrub once it has found something, or finds nothing any more and has seen everything."""

    async def looked() -> dict[str, Any]:
        found: dict[str, Any] = (await status_now(settings))["scrubbed"] or {}
        return found

    def unlike(found: dict[str, Any]) -> bool:
        return not found or found["whole_since"] is None or bool(found["differences"]) != wanted

    asking = AsyncRetrying(retry=retry_if_result(unlike), stop=stop_after_delay(60), wait=wait_fixed(0.1))
    found: dict[str, Any] = await asking(looked)
    return found


async def verified(settings: Settings, status: int, *arguments: str) -> dict[str, Any]:
    """What `memfold replay verify` says, and that it ends with this status."""
    words = ["replay", "verify", *arguments, "--json"]
    found: dict[str, Any] = json.loads(await asyncio.to_thread(run, settings, *words, status=status))
    return found


def different(found: dict[str, Any], projection: str) -> dict[str, Any]:
    (one,) = [one for one in found["shards"] if not one["equal"] and one["projection"] == projection]
    return dict(one)


async def written(memory: AsyncMemory, user: str, until: asyncio.Task[Any]) -> int:
    """Write, and find it again, until the task is done; how often."""
    count = 0
    while not until.done():
        count += 1
        await memory.add(f"written meanwhile {count}", user_id=user, infer=False)
        assert len((await memory.get_all(user_id=user, limit=10_000))["results"]) >= count
    return count


@pytest.mark.timeout(300)
async def test_a_flipped_bit_is_seen_by_the_scrub_named_and_repaired_under_writes(
    stack: Settings, memory: AsyncMemory
) -> None:
    user = await filled(memory)
    await settled(stack)
    await committed(stack)
    assert (await scrub(stack, wanted=False))["shards"] == 2 * stack.partitions
    partition = fullest(stack)
    row_id, offset, vector = a_row(served(stack, "vector", partition))
    flip_in(served(stack, "vector", partition), vector, 100)
    seen = (await scrub(stack, wanted=True))["differences"]
    memory_id, _, version = row_id.rpartition(":")
    assert seen == [
        {
            "projection": "vector",
            "partition": partition,
            "memory_id": memory_id,
            "part": f"version {version}",
            "what": "differs",
            "offset": offset,
        }
    ]
    metrics = samples(await asked(stack))
    assert total(metrics, "memfold_scrub_differences", projection="vector") == 1
    assert total(metrics, "memfold_scrub_slices_total") > 0
    found = await verified(stack, DIFFERS)
    one = different(found, "vector")
    assert one["partition"] == partition
    (difference,) = one["differences"]
    assert (difference["memory_id"], difference["fields"], difference["offset"]) == (
        memory_id,
        ["vector"],
        offset,
    )
    assert difference["event_id"]
    repairing = asyncio.create_task(verified(stack, REPAIRED, "--repair"))
    assert await written(memory, user, repairing) > 0
    found = await repairing
    assert [one["projection"] for one in found["repaired"]] == ["vector"]
    assert (await verified(stack, 0))["equal"]
    await scrub(stack, wanted=False)
    await everything_holds(stack, [])


@pytest.mark.timeout(300)
async def test_a_damaged_graph_is_repaired_while_its_worker_cannot_start(
    stack: Settings, memory: AsyncMemory
) -> None:
    await filled(memory)
    await settled(stack)
    await committed(stack)
    partition = fullest(stack)
    table = max(served(stack, "graph", partition).rglob("*.sst"), key=lambda path: path.stat().st_size)
    # In the number by which RocksDB knows a table: the store opens no more. A worker goes on with what it has open until it ends.
    flip(table, table.stat().st_size - 1)
    (worker,) = [one for one in (await status_now(stack))["processes"] if one["role"] == "worker"]
    os.kill(worker["pid"], signal.SIGKILL)
    found = await verified(stack, REPAIRED, "graph", "--repair")
    one = different(found, "graph")
    assert (one["partition"], one["served"]) == (partition, None)
    assert one["damage"]
    assert one["differences"]
    assert all(each["memory_id"] and each["event_id"] for each in one["differences"])
    await everything_holds(stack, [])
