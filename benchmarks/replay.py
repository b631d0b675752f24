"""Replaying a log of 1,000,000 memories: rebuilt from Kafka and Parquet, restored, read alone, killed half way, and searched meanwhile."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing import get_context
from pathlib import Path
from tempfile import mkdtemp

import fastavro
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.material import LogMaker
from benchmarks.rebuild import write_log
from benchmarks.table import Row, percentiles, rate
from memfold import AsyncMemory
from memfold.infra.broker import Broker
from memfold.projections.archive import ArchiveShard
from memfold.schemas.codec import decode_envelope
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import LogRecord
from memfold.schemas.registry import newest, with_fingerprint
from memfold.serve.embedded import EmbeddedStack
from memfold.serve.replaying import standings_of_workers, standings_on_disk
from memfold.serve.running import status_now
from memfold.serve.settings import Settings, settings_from
from memfold.streams.projecting import open_batch
from memfold.streams.reader import LogReader
from memfold.streams.topics import ensure_topics

SMALL, MIDDLE, LARGE, PER_USER = 10_000, 100_000, 1_000_000, 1_000
WANTED = 25_000
SEARCHES = 200
PEER = "eventsourcing==9.5.6"


@contextmanager
def _log(folder: Path, memories: int) -> Iterator[Settings]:
    """A home with its Kafka and archive, which hold that many memories with a relation each."""
    home = Path(mkdtemp(prefix=f"replay-{memories}-", dir=folder))
    with Broker(home) as broker:
        settings = settings_from(home=home, bootstrap_servers=broker.bootstrap)
        ensure_topics(settings.connection(broker.bootstrap), settings.topic_plan())
        with closing(KeyStore(home / "keys.db", settings.key_encrypting_key())) as keys:
            maker = LogMaker(keys, settings.partitions, settings.dimensions())
            asyncio.run(write_log(settings, maker, memories, PER_USER))
        with closing(_reader(settings)) as reader:
            for partition in range(settings.partitions):
                _, end = reader.bounds(EVENTS, partition)
                with closing(ArchiveShard(home / "archive", EVENTS, partition)) as shard:
                    for records in reader.read(EVENTS, partition, 0, end, 5_000):
                        shard.append(records)
        yield settings


def _reader(settings: Settings) -> LogReader:
    assert settings.bootstrap_servers is not None
    return LogReader(settings.connection(settings.bootstrap_servers))


def _command(settings: Settings, source: str, *words: str) -> list[str]:
    assert settings.bootstrap_servers is not None
    home = ["--home", str(settings.home), "--bootstrap-servers", settings.bootstrap_servers]
    return [sys.executable, "-m", "memfold.serve.cli", "replay", "rebuild", "--from", source, "--json", *home, *words]  # fmt: skip


def _rebuilt(settings: Settings, source: str, *words: str) -> tuple[float, str]:
    """Seconds of the command as a user runs it, and what it printed."""
    started = time.perf_counter()
    done = subprocess.run(_command(settings, source, *words), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - started, done.stdout


def _digests(printed: str) -> dict[tuple[str, int], str]:
    return {
        (one["projection"], shard["partition"]): shard["digest"]
        for one in json.loads(printed)
        for shard in one["shards"]
    }


def _records(settings: Settings, partitions: list[int]) -> Iterator[list[LogRecord]]:
    with closing(_reader(settings)) as reader:
        for partition in partitions:
            _, end = reader.bounds(EVENTS, partition)
            yield from reader.read(EVENTS, partition, 0, end)


def _fold(settings: Settings, partitions: list[int]) -> int:
    """Fetch, authenticate, open, decode, fold into a dict: how many memories there are."""
    folded: dict[str, str] = {}
    with closing(KeyStore(settings.folder / "keys.db", settings.key_encrypting_key())) as keys:
        for records in _records(settings, partitions):
            for event in open_batch(records, keys).events:
                for done in event.body.operations:
                    folded[done.memory_id] = done.text
    return len(folded)


def _thrown_away(settings: Settings, partitions: list[int]) -> int:
    """The same without the dict: the most that any rebuild on one core could do."""
    with closing(KeyStore(settings.folder / "keys.db", settings.key_encrypting_key())) as keys:
        return sum(
            len(event.body.operations)
            for records in _records(settings, partitions)
            for event in open_batch(records, keys).events
        )


def _bare(settings: Settings, partitions: list[int], bodies: dict[tuple[int, int], bytes]) -> int:
    """Consume, and decode envelope and body with fastavro alone; the bodies were decrypted beforehand."""
    clear, body, count = newest("envelope").parsed, newest("memories_decided").parsed, 0
    for records in _records(settings, partitions):
        for record in records:
            fastavro.schemaless_reader(io.BytesIO(record.value[10:]), clear, None)
            read = fastavro.schemaless_reader(io.BytesIO(bodies[record.partition, record.offset]), body, None)
            count += len(read["operations"])  # type: ignore[call-overload,index,arg-type]
    return count


def _plain(settings: Settings) -> dict[tuple[int, int], bytes]:
    """Every body's plain Avro bytes, by partition and offset."""
    found: dict[tuple[int, int], bytes] = {}
    with closing(KeyStore(settings.folder / "keys.db", settings.key_encrypting_key())) as keys:
        for records in _records(settings, list(range(settings.partitions))):
            for record in records:
                envelope, aad, sealed = decode_envelope(record.value)
                assert with_fingerprint(envelope.body_schema).parsed == newest("memories_decided").parsed
                cipher = AESGCM(keys.key(envelope.key_id))
                found[record.partition, record.offset] = cipher.decrypt(envelope.nonce, sealed, aad)
    return found


def _reading(settings: Settings, memories: int) -> tuple[list[Row], float]:
    """The rows, and at what rate a bare consumer's records are decoded and opened, and thrown away."""
    every = list(range(settings.partitions))
    bodies = _plain(settings)
    started = time.perf_counter()
    assert _bare(settings, every, bodies) == memories
    bare = memories / (time.perf_counter() - started)
    bodies.clear()
    started = time.perf_counter()
    assert _fold(settings, every) == memories
    ours = memories / (time.perf_counter() - started)
    started = time.perf_counter()
    assert _thrown_away(settings, every) == memories
    opened = memories / (time.perf_counter() - started)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(_fold, [settings] * 2, [[], []]))
        started = time.perf_counter()
        assert sum(pool.map(_fold, [settings] * 2, [every[::2], every[1::2]])) == memories
        two = memories / (time.perf_counter() - started)
    share, growth = ours / bare, two / ours
    return [
        Row("reading alone, folded into a dict, one core", f"{rate(ours)}, {share:.0%}", "70%",
            f"bare consume + fastavro {rate(bare)}", share >= 0.7),
        Row("the same, partitions read by two processes", f"{rate(two)}, {growth:.2f}x", "1.8x", "", growth >= 1.8),
        _eventsourcing(settings.folder, memories),
    ], opened  # fmt: skip


def _eventsourcing(folder: Path, memories: int) -> Row:
    """eventsourcing in an environment of its own: its unencrypted SQLite log of as many events, folded into a dict."""
    measure, there = f"{PEER}, its SQLite log folded into a dict", folder / "peer"
    venv.create(there, with_pip=True)
    python = str(there / "bin" / "python")
    installed = subprocess.run([python, "-m", "pip", "install", "-q", PEER], capture_output=True, text=True)
    if installed.returncode != 0:
        said = installed.stderr.strip().splitlines() or ["pip said nothing"]
        return Row(measure, "not measured", "", f"it does not install here: {said[-1]}")
    script = str(Path(__file__).with_name("peer_eventsourcing.py"))
    words = [str(there / "log.db"), str(memories)]
    done = subprocess.run([python, script, *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{script} failed:\n{done.stderr}")
    return Row(measure, rate(memories / float(done.stdout)), "", "beside it; no encryption, no Kafka")


def _killed_half_way(settings: Settings, whole: float, memories: int) -> Row:
    """A rebuild killed with -9 at half of its time, and the next one, which takes it up."""
    with subprocess.Popen(_command(settings, "kafka"), stdout=subprocess.DEVNULL) as running:
        time.sleep(whole / 2)
        os.kill(running.pid, signal.SIGKILL)
    seconds, _ = _rebuilt(settings, "kafka")
    share = seconds / whole
    return Row(f"resume after kill -9 at half the time, {memories:,}", f"{seconds:.1f} s, {share:.0%} of the whole", "60%",
               f"the whole {whole:.1f} s", share <= 0.6)  # fmt: skip


async def _search(memory: AsyncMemory, stop: asyncio.Event) -> list[float]:
    taken: list[float] = []
    while not stop.is_set() or len(taken) < SEARCHES:
        started = time.perf_counter()
        user = f"user-{len(taken) % 20}"
        found = await memory.search("Who was it that I met for lunch?", user_id=user, limit=10, threshold=0)
        taken.append(time.perf_counter() - started)
        assert len(found["results"]) == 10
    return taken


async def _searched_meanwhile(settings: Settings) -> Row:
    async with AsyncMemory(home=settings.home) as memory:
        calm = asyncio.Event()
        calm.set()
        await _search(memory, calm)
        before = percentiles(await _search(memory, calm))
        over = asyncio.Event()
        searching = asyncio.create_task(_search(memory, over))
        command = [sys.executable, "-m", "memfold.serve.cli", "replay", "rebuild", "--json", "--home", str(settings.home)]  # fmt: skip
        building = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
        assert await building.wait() == 0
        over.set()
        during = percentiles(await searching)
    times = during[1] / before[1]
    return Row(
        f"searches during a rebuild of {MIDDLE:,}, p50 / p95; none failed",
        f"{during[0]:.1f} / {during[1]:.1f} ms, {times:.1f}x",
        "p95 2x",
        f"before it: {before[0]:.1f} / {before[1]:.1f} ms",
        times <= 2,
    )


def _while_searching(settings: Settings) -> Row:
    stack = EmbeddedStack.start(settings_from(home=settings.home))
    try:
        return asyncio.run(_searched_meanwhile(settings))
    finally:
        stack.stop()


def _lived(settings: Settings) -> dict[tuple[str, int], str]:
    """What workers that follow the log from its beginning hold of it, once they have come to its end."""
    shutil.rmtree(settings.folder / "projections")
    home = settings_from(home=settings.home)
    stack = EmbeddedStack.start(home)
    try:
        asyncio.run(_settled(home))
        return {shard: one.digest for shard, one in asyncio.run(standings_of_workers(home)).items()}
    finally:
        stack.stop()


async def _settled(settings: Settings) -> None:
    """Every role is at the end of the log; decide stands beyond it, for these events have no commands."""
    while not all(role["running"] and role["lag"] <= 0 for role in (await status_now(settings))["roles"]):  # noqa: ASYNC110
        await asyncio.sleep(0.5)


def _restored(settings: Settings) -> dict[tuple[str, int], str]:
    """Kafka and projections are gone: what `memfold restore` brings back of archive and key store."""
    home = settings.folder
    for lost in ("kafka", "projections"):
        shutil.rmtree(home / lost)
    words = ["restore", "--archive", str(home / "archive"), "--home", str(home), "--json"]
    done = subprocess.run([sys.executable, "-m", "memfold.serve.cli", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    home_only = settings_from(home=home)
    standing = standings_on_disk(home_only, home_only.partitions)
    return {shard: one.digest for shard, one in standing.items()}


def _all_four(settings: Settings) -> Row:
    """Live, rebuilt from each source, and restored from nothing: one digest a shard. The home is left restored."""
    found = [_lived(settings)]
    with Broker(settings.folder) as broker:
        again = settings.model_copy(update={"bootstrap_servers": broker.bootstrap})
        for source in ("kafka", "archive"):
            found.append(_digests(_rebuilt(again, source, "--digests")[1]))
    found.append(_restored(settings))
    equal = len(found[0]) == 2 * settings.partitions and all(one == found[0] for one in found)
    return Row(f"digest of live = rebuilt from Kafka = rebuilt from Parquet = restored from nothing, {SMALL:,}",
               "equal" if equal else "DIFFERENT", "equal", "", equal)  # fmt: skip


def replay(folder: Path, large: int = LARGE) -> list[Row]:
    """The table; `large` memories in the largest log."""
    rows: list[Row] = []
    rates: dict[int, float] = {}
    for memories in (SMALL, MIDDLE):
        with _log(folder, memories) as settings:
            rates[memories] = memories / _rebuilt(settings, "kafka")[0]
        if memories == MIDDLE:
            rows.append(_while_searching(settings))
        else:
            small = settings
    rows.append(_all_four(small))
    with _log(folder, large) as settings:
        reading, opened = _reading(settings, large)
        kafka, _ = _rebuilt(settings, "kafka")
        parquet, _ = _rebuilt(settings, "archive")
        killed = _killed_half_way(settings, kafka, large)
        with_digests, from_kafka = _rebuilt(settings, "kafka", "--digests")
        _, again = _rebuilt(settings, "archive", "--digests")
    rates[large] = large / kafka
    equal = _digests(from_kafka) == _digests(again)
    steady = rates[large] / max(rates[SMALL], rates[MIDDLE])
    return [
        Row(f"rebuild vector + graph from Kafka, {large:,} memories, a relation each", rate(rates[large]), rate(WANTED),
            f"with digests {rate(large / with_digests)}", rates[large] >= WANTED),
        Row("the same from Parquet", f"{rate(large / parquet)}, {kafka / parquet:.2f} of Kafka's", "1.0", "", kafka / parquet >= 1),
        Row("of it against the same records opened and thrown away, one core", f"{rates[large] / opened:.0%}", "35%",
            f"consumed, decoded and opened {rate(opened)}", rates[large] >= 0.35 * opened),
        *reading,
        Row(f"rate at {large:,} against the best at {SMALL:,} and {MIDDLE:,}", f"{steady:.2f}", "0.8",
            ", ".join(f"{count:,}: {rate(found)}" for count, found in rates.items()), steady >= 0.8),
        killed,
        Row("digests rebuilt from Kafka and from Parquet", "equal" if equal else "DIFFERENT", "equal", "", equal),
        *rows,
    ]  # fmt: skip
