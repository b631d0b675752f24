"""The vector processor alone, draining a topic of single-message events, beside bare Faust that consumes the same and does nothing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from benchmarks.material import LogMaker
from benchmarks.rebuild import write_log
from benchmarks.table import Row, rate
from memfold.infra.broker import Broker
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from memfold.serve.settings import Settings, settings_from
from memfold.serve.view_client import views_of
from memfold.streams.reader import LogReader
from memfold.streams.topics import ensure_topics

SMALL, LARGE, PER_USER = 5_000, 45_000, 100
"""Events. What both take is the start; the rate is of what the larger one has more."""
WANTED = 0.4
PATIENCE = 600.0

BARE = """
import asyncio
import sys
import faust

servers, topic, count, state = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]

async def main():
    app = faust.App("bare", broker=f"kafka://{servers}", value_serializer="raw", store="memory://", datadir=state,
                    topic_disable_leader=True, topic_allow_declare=False, web_enabled=False, autodiscover=False,
                    consumer_auto_offset_reset="earliest", consumer_max_fetch_size=4 * 1024 * 1024)
    every = asyncio.Event()

    @app.agent(app.topic(topic))
    async def nothing(stream):
        seen = 0
        async for _ in stream:
            seen += 1
            if seen == count:
                every.set()

    app.finalize()
    await app.start()
    await every.wait()
    print("all", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def drain(folder: Path) -> list[Row]:
    fewer, all_of_them = _taken(folder, SMALL), _taken(folder, LARGE)
    limit, found = (
        (LARGE - SMALL) / (longer - short) for short, longer in zip(fewer, all_of_them, strict=True)
    )
    return [
        Row(
            "the vector processor draining single-message events",
            f"{rate(found)}, {found / limit:.0%} of bare Faust",
            f"{WANTED:.0%}",
            f"bare Faust, doing nothing: {rate(limit)}",
            found >= WANTED * limit,
        )
    ]


def _taken(folder: Path, events: int) -> tuple[float, float]:
    """Seconds from the start of a process to the last event: bare Faust's, then the vector processor's."""
    home = folder / f"drain-{events}"
    with Broker(home) as broker:
        settings = settings_from(home=home, bootstrap_servers=broker.bootstrap)
        ensure_topics(settings.connection(broker.bootstrap), settings.topic_plan())
        with closing(KeyStore(home / "keys.db", settings.key_encrypting_key())) as keys:
            maker = LogMaker(keys, settings.partitions, settings.dimensions(), per_event=1)
            asyncio.run(write_log(settings, maker, events, PER_USER))
        return _bare(broker.bootstrap, events, home / "bare"), _vector(settings)


def _bare(servers: str, events: int, state: Path) -> float:
    state.mkdir()
    started = time.perf_counter()
    command = [sys.executable, "-c", BARE, servers, EVENTS, str(events), str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "all\n"
        taken = time.perf_counter() - started
        process.kill()
    return taken


def _vector(settings: Settings) -> float:
    assert settings.bootstrap_servers is not None
    with closing(LogReader(settings.connection(settings.bootstrap_servers))) as reader:
        ends = [reader.bounds(EVENTS, partition)[1] for partition in range(settings.partitions)]
    place = ["--home", str(settings.home), "--bootstrap-servers", settings.bootstrap_servers]
    command = [sys.executable, "-m", "memfold.serve.cli", "worker", "vector", *place]
    started = time.perf_counter()
    with subprocess.Popen(command) as process:
        try:
            asyncio.run(_reach(settings, ends))
            return time.perf_counter() - started
        finally:
            process.terminate()


async def _reach(settings: Settings, ends: list[int]) -> None:
    async with views_of(settings) as views:
        reached = [views.reach("vector", number, end - 1, PATIENCE) for number, end in enumerate(ends)]
        assert all(await asyncio.gather(*reached))
