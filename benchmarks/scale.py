"""What a search costs as the store grows: inside one user, and over a whole tenant's and an agent's memories.

    python benchmarks/scale.py HOME                     100,000 and 1,000,000 memories, written into HOME once
    python benchmarks/scale.py HOME 20000 200000        other sizes, a multiple of 5,000

Asks the parts in this process, the graph's too: what a broker and a worker add is the same at any size.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.material import TENANT
from benchmarks.population import PER_USER, Store, agent_of, asked, fill
from benchmarks.table import Row, percentiles, report
from memfold.memory.corpora import Corpora
from memfold.memory.reach import checked_reach
from memfold.memory.recalling import Recalling
from memfold.memory.wide import Asked
from memfold.projections.base import Shard
from memfold.projections.graph import GraphShard
from memfold.projections.graph_index import OxigraphRelations
from memfold.projections.vector import VectorShard
from memfold.projections.vector_feed import LanceMemoryFeed
from memfold.projections.vector_index import LanceMemoryIndex
from memfold.projections.vector_wide import LanceWideIndex
from memfold.providers.presets import ModelSettings, embedder_from
from memfold.schemas.records import Scope

SIZES = (100_000, 1_000_000)
USERS, SEARCHES, QUESTIONS, WIDE = 50, 300, 100, 40
RATIO, RECALL, LATENCY = 1.5, 0.97, 25.0
Timed = Callable[[int], Awaitable[object]]


def written(home: Path, memories: int) -> Store:
    """The store of a size; filled if it is not there yet, else as an earlier run left it."""
    folder = home / f"{memories}"
    store, done = Store.at(folder), folder / "done"
    if not done.exists():
        shards: dict[int, list[Shard]] = {
            p: [VectorShard(store.path("vector", p), p, 256), GraphShard(store.path("graph", p), p)]
            for p in range(store.partitions)
        }
        began = time.perf_counter()
        fill(store, shards, memories, embedder_from(ModelSettings()))
        print(f"{memories:,} memories written in {time.perf_counter() - began:.0f} s", flush=True)
        began = time.perf_counter()
        for shard in (one for both in shards.values() for one in both):
            shard.close()
        print(f"indices built in {time.perf_counter() - began:.0f} s", flush=True)
        done.touch()
    return store


class Reading:
    """The reads of one store, as a caller puts them together."""

    def __init__(self, store: Store, memories: int) -> None:
        self.memories, self.embedder = memories, embedder_from(ModelSettings())
        self._graphs = {p: GraphShard(store.path("graph", p), p) for p in range(store.partitions)}
        self.index = LanceMemoryIndex(store.generations["vector"], store.partitions)
        self.wide = LanceWideIndex(self.index)
        corpora = Corpora(TENANT, LanceMemoryFeed(self.index.tables, store.partitions))
        graph = OxigraphRelations(self._graphs)
        self.recalling = Recalling(
            TENANT, self.index, corpora, graph, store.keys, self.embedder, wide=self.wide
        )

    async def search(self, number: int, **ids: str) -> None:
        reach = checked_reach(None, ids)
        found = await self.recalling.search(asked(number), reach, 10, 0.0)
        assert len(found.hits) == 10, f"{len(found.hits)} found"

    async def close(self) -> None:
        await self.index.close()
        for graph in self._graphs.values():
            graph.close()


async def one_user(reading: Reading) -> dict[str, tuple[float, float]]:
    """p50 and p95 in milliseconds of a user's searches by kind."""
    users = [(number * 7 + 1) % (reading.memories // PER_USER) for number in range(USERS)]
    await reading.search(0, user_id="user-0")
    return {
        "the first search of a user": await _times(
            lambda n: reading.search(n, user_id=f"user-{users[n]}"), min(USERS, len(set(users)))
        ),
        "one user of 1,000": await _times(lambda n: reading.search(n, user_id="user-1"), SEARCHES),
        "50 users in turn": await _times(
            lambda n: reading.search(n, user_id=f"user-{users[n % USERS]}"), SEARCHES
        ),
    }


async def across(reading: Reading) -> list[Row]:
    """The index against comparing everything, by tenant and by agent; then whole searches of an agent's memories."""
    agent = Scope(agent_id=agent_of(7))
    rows = []
    for name, scope in (("a tenant", Scope()), ("an agent", agent)):
        found, exact = _ids(reading, scope, exact=False), _ids(reading, scope, exact=True)
        pairs = [(await found(n), await exact(n)) for n in range(QUESTIONS)]
        recall = float(np.mean([len(set(one) & set(other)) / len(other) for one, other in pairs]))
        p50, p95 = await _times(found, QUESTIONS)
        bare = (await _times(exact, WIDE))[0]
        rows.append(
            Row(
                f"nearest 10 of {name} among {reading.memories:,}: recall@10, p50 / p95",
                f"{recall:.3f}, {p50:.1f} / {p95:.1f} ms",
                f"{RECALL}, {LATENCY:.0f} ms",
                f"comparing everything {bare:.0f} ms p50",
                recall >= RECALL and p50 <= LATENCY,
            )
        )
    p50, p95 = await _times(lambda n: reading.search(n, agent_id=agent_of(7)), WIDE)
    limit = "300 by meaning and 300 by words, ranked with all parts"
    rows.append(
        Row(
            f"whole search of an agent's {reading.memories // 20:,} memories, p50 / p95",
            f"{p50:.0f} / {p95:.0f} ms",
            "",
            limit,
        )
    )
    return rows


def _ids(reading: Reading, scope: Scope, exact: bool) -> Callable[[int], Awaitable[list[str]]]:
    async def ids(number: int) -> list[str]:
        (vector,) = await reading.embedder.embed([asked(number)])
        if exact:
            hits = await reading.index.search(TENANT, None, scope, vector, 10)
            return [hit.row.memory_id for hit in hits]
        rows, _ = await reading.wide.near(TENANT, None, scope, Asked("", vector), 10)
        return [row.memory_id for row in rows]

    return ids


async def _times(ask: Timed, times: int) -> tuple[float, float]:
    taken = []
    for number in range(times):
        began = time.perf_counter()
        await ask(number)
        taken.append(time.perf_counter() - began)
    return percentiles(taken)


async def measure(stores: dict[int, Store]) -> list[Row]:
    rows: list[Row] = []
    first: dict[str, tuple[float, float]] = {}
    smallest = min(stores)
    for memories, store in stores.items():
        reading = Reading(store, memories)
        found = await one_user(reading)
        first = first or found
        for name, (p50, p95) in found.items():
            r50, r95 = p50 / first[name][0], p95 / first[name][1]
            rows.append(
                Row(
                    f"search, {name} among {memories:,}, p50 / p95",
                    f"{p50:.1f} / {p95:.1f} ms",
                    f"{RATIO}x of {smallest:,}" if found is not first else "",
                    f"{r50:.2f}x / {r95:.2f}x" if found is not first else "",
                    None if found is first or name.startswith("the first") else max(r50, r95) <= RATIO,
                )
            )
        rows += await across(reading)
        await reading.close()
    return rows


def main() -> None:
    home, *sizes = sys.argv[1:]
    stores = {size: written(Path(home), size) for size in sorted(map(int, sizes)) or SIZES}
    print(report(asyncio.run(measure(stores))))


if __name__ == "__main__":
    main()
