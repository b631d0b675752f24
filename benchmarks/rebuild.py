"""Rebuilding from Kafka, and searching what was rebuilt: a log of up to 500,000 memories, written once."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.material import LogMaker, sentence
from benchmarks.table import Row, percentiles, rate
from memfold import AsyncMemory
from memfold.infra.broker import Broker
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from memfold.serve.embedded import EmbeddedStack
from memfold.serve.replaying import rebuild_served
from memfold.serve.settings import Settings, settings_from
from memfold.streams.projecting import open_batch
from memfold.streams.reader import LogReader
from memfold.streams.topics import ensure_topics
from memfold.streams.writer import LogWriter

SMALL, LARGE, PER_USER = 100_000, 500_000, 1_000
SEARCHES = 300
CALLERS = 8


async def write_log(settings: Settings, maker: LogMaker, memories: int, per_user: int) -> None:
    """Append that many memories to memfold.events."""
    assert settings.bootstrap_servers is not None
    connection = settings.connection(settings.bootstrap_servers)
    writer = LogWriter(connection, linger_ms=5)
    held: dict[int, list[tuple[bytes, bytes]]] = defaultdict(list)
    for partition, key, value in maker.records(memories, per_user):
        held[partition].append((key, value))
        if sum(map(len, held.values())) >= 200:
            await asyncio.gather(*(writer.append(EVENTS, p, records) for p, records in held.items()))
            held.clear()
    await asyncio.gather(*(writer.append(EVENTS, p, records) for p, records in held.items()))
    writer.close()


def _limits(settings: Settings, keys: KeyStore, memories: int) -> str:
    """What the log alone gives: bare consume, and consume + authenticate + decrypt + decode, one core each."""
    assert settings.bootstrap_servers is not None
    reader = LogReader(settings.connection(settings.bootstrap_servers))
    timings = []
    for opening in (False, True):
        started = time.perf_counter()
        for partition in range(settings.partitions):
            _, end = reader.bounds(EVENTS, partition)
            for records in reader.read(EVENTS, partition, 0, end):
                if opening:
                    open_batch(records, keys)
        timings.append(memories / (time.perf_counter() - started))
    return f"bare consume {rate(timings[0])}, consume + open {rate(timings[1])}, one core"


def rebuild(folder: Path, memories: int, wanted: float | None) -> tuple[list[Row], float, Settings]:
    """Write a log, rebuild both projections from it, each from nothing; the row, memories a second, the home's settings."""
    home = folder / f"rebuild-{memories}"
    with Broker(home) as broker:
        settings = settings_from(home=home, bootstrap_servers=broker.bootstrap)
        ensure_topics(settings.connection(broker.bootstrap), settings.topic_plan())
        keys = KeyStore(home / "keys.db", settings.key_encrypting_key())
        maker = LogMaker(keys, settings.partitions, settings.dimensions())
        asyncio.run(write_log(settings, maker, memories, PER_USER))
        limits = _limits(settings, keys, memories)
        keys.close()
        started = time.perf_counter()
        rebuild_served(settings, ["vector", "graph"], "kafka", lambda built: None)
        found = memories / (time.perf_counter() - started)
    name = f"rebuild vector + graph from Kafka, {memories:,} memories with a relation each"
    if wanted is None:
        return [Row(name, rate(found), "linear", limits)], found, settings
    return [Row(name, rate(found), rate(wanted), limits, found >= wanted)], found, settings


async def search(settings: Settings) -> list[Row]:
    """Searches of users with 1,000 memories and 1,000 relations each, 100,000 in the store, through the whole stack, all parts on."""
    home = settings_from(home=settings.home)
    running = await asyncio.to_thread(EmbeddedStack.start, home)
    try:
        async with AsyncMemory(home=home.home) as memory:
            await _once(memory, 0, "user-0")
            first = [await _once(memory, number, f"user-{number}") for number in range(1, 100)]
            again = [await _once(memory, number, "user-7") for number in range(SEARCHES)]
            many = [await _once(memory, number, f"user-{number % 100}") for number in range(SEARCHES)]
            began = time.perf_counter()
            await asyncio.gather(*(_caller(memory, number) for number in range(CALLERS)))
            at_once = CALLERS * SEARCHES / (time.perf_counter() - began)
            bare = await _bare_search(home)
    finally:
        await asyncio.to_thread(running.stop)
    limit = f"bare LanceDB, same filter: {bare:.1f} ms p50"
    return [
        _timed("search, one user of 1,000 among 100,000, p50 / p95", again, limit),
        _timed("the same, 100 users in turn", many, limit),
        Row("the first search of a user", "{:.1f} / {:.1f} ms".format(*percentiles(first)), "", limit),
        Row(f"searches, {CALLERS} callers at once", rate(at_once), "150/s", limit, at_once >= 150),
    ]


def _timed(name: str, taken: list[float], limit: str) -> Row:
    p50, p95 = percentiles(taken)
    return Row(name, f"{p50:.1f} / {p95:.1f} ms", "12 / 30 ms", limit, p50 <= 12 and p95 <= 30)


async def _once(memory: AsyncMemory, number: int, user: str) -> float:
    """Seconds of one search."""
    began = time.perf_counter()
    found = await memory.search(sentence(number * 7), user_id=user, limit=10, threshold=0, explain=True)
    assert len(found["results"]) == 10
    return time.perf_counter() - began


async def _caller(memory: AsyncMemory, first: int) -> None:
    for number in range(SEARCHES):
        await _once(memory, number, f"user-{(first + number) % 100}")


async def _bare_search(settings: Settings) -> float:
    """The same nearest-neighbour query straight at a table of the served generation: no embedding, no relations."""
    import lancedb
    import numpy as np

    from memfold.projections.generations import Generations

    generations = Generations(settings.folder / "projections", "vector")
    path = generations.shard_path(generations.served(), 0)
    connection = await lancedb.connect_async(str(path))
    names = (await connection.list_tables()).tables
    table = await connection.open_table(names[0])
    first = (
        await table.query()
        .where("valid_to IS NULL AND subject != ''")
        .limit(1)
        .select(["subject"])
        .to_arrow()
    )["subject"][0].as_py()
    vector = np.random.default_rng(3).normal(size=settings.dimensions()).astype(np.float32)
    taken = []
    for _ in range(60):
        started = time.perf_counter()
        query = table.query().nearest_to(vector).distance_type("cosine").bypass_vector_index()
        await (
            query.where(f"subject = '{first}' AND valid_to IS NULL")
            .limit(10)
            .select(["text", "_distance"])
            .to_arrow()
        )
        taken.append(time.perf_counter() - started)
    return percentiles(taken)[0]
