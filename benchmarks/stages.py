"""Each stage alone beside the bare library under it: produce, decide, and the fold of each projection."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import lancedb
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pyoxigraph
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.material import LogMaker, sentence
from benchmarks.table import Row, rate
from memfold.infra.broker import Broker
from memfold.memory.deciding import decide
from memfold.memory.state import SubjectState
from memfold.memory.understanding import Models
from memfold.projections.archive import ArchiveShard
from memfold.projections.base import Position
from memfold.providers.presets import ModelSettings, models_from
from memfold.replay.build import open_shard
from memfold.replay.reembedding import Embedding
from memfold.schemas.codec import encode
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import AddRequested, Envelope, Event, Item, LogRecord, Message, Scope
from memfold.streams.connection import Connection
from memfold.streams.projecting import fold_batch, open_batch
from memfold.streams.writer import LogWriter

MEMORIES = 40_000
EVENTS_A_BATCH = 10


def stages(folder: Path) -> list[Row]:
    home = folder / "stages"
    home.mkdir()
    keys = KeyStore(home / "keys.db", bytes(32))
    made = list(LogMaker(keys, 1, 256).records(MEMORIES, 1_000))
    now = int(time.time() * 1000)
    records = [LogRecord(EVENTS, 0, n, now, key, value) for n, (_, key, value) in enumerate(made)]
    rows = [*_produce(home, records), *asyncio.run(_decide(keys))]
    rows += [_vector(home, records, keys), _graph(home, records, keys), _archive(home, records)]
    keys.close()
    return rows


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _produce(home: Path, records: list[LogRecord]) -> list[Row]:
    small = [(record.key, record.value[:560]) for record in records for _ in range(50)]
    with Broker(home) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        made = admin.create_topics([NewTopic("bench", 1, 1)])
        made["bench"].result()
        settings = {
            "bootstrap.servers": broker.bootstrap,
            "acks": "all",
            "enable.idempotence": True,
            "compression.type": "lz4",
        }
        bare = Producer(settings | {"linger.ms": 5, "queue.buffering.max.messages": 10**6})

        def push() -> None:
            for key, value in small:
                bare.produce("bench", value, key)
                bare.poll(0)
            bare.flush()

        limit = len(small) / _timed(push)

        async def append() -> float:
            writer = LogWriter(Connection(bootstrap_servers=broker.bootstrap), linger_ms=5)
            started = time.perf_counter()
            for start in range(0, len(small), 5_000):
                await writer.append("bench", 0, small[start : start + 5_000])
            writer.close()
            return len(small) / (time.perf_counter() - started)

        found = asyncio.run(append())
    return [
        Row("produce, 560-byte records, each awaited", rate(found), "", f"bare confluent-kafka {rate(limit)}")
    ]


async def _decide(keys: KeyStore) -> list[Row]:
    embedder, extractor, decider = models_from(ModelSettings())
    models = Models(embedder, extractor, decider)
    commands = [
        AddRequested(
            Scope(user_id="u"), [Item([Message("user", sentence(n + k))]) for k in range(100)], False
        )
        for n in range(0, 20_000, 100)
    ]
    await embedder.embed(["warm up"])
    started = time.perf_counter()
    for command in commands:
        await embedder.embed([item.messages[0].content for item in command.items])
    limit = 20_000 / (time.perf_counter() - started)
    subject = keys.subject_of("default", "user", "decide")
    key_id, key = keys.sealing_key(subject)
    state = SubjectState()
    started = time.perf_counter()
    for command in commands:
        command_id = str(uuid.uuid4())
        body = await decide(command, command_id, datetime.now(UTC), state, models)
        ids = [done.memory_id for done in body.operations]
        encode(
            Envelope(
                command_id,
                "memories_decided",
                "default",
                subject,
                command_id,
                datetime.now(UTC),
                b"",
                key_id,
                b"",
                0,
                ids,
            ),
            body,
            key,
        )
    found = 20_000 / (time.perf_counter() - started)
    said = [
        AddRequested(Scope(user_id="v"), [Item([Message("user", sentence(n))])], True) for n in range(300)
    ]
    started = time.perf_counter()
    for command in said:
        await decide(command, str(uuid.uuid4()), datetime.now(UTC), state, models)
    inferred = 300 / (time.perf_counter() - started)
    return [
        Row(
            "decide + encrypt, infer=False, 100 a command", rate(found), "", f"embedding alone {rate(limit)}"
        ),
        Row("decide, offline extraction, 1 a command", rate(inferred), "", "spaCy's parse is most of it"),
    ]


def _fold(projection: str, home: Path, records: list[LogRecord], keys: KeyStore) -> float:
    shard = open_shard(projection, home / projection, 0, Embedding(ModelSettings(), home / "embeddings"))
    position = Position()
    started = time.perf_counter()
    for start in range(0, len(records), EVENTS_A_BATCH):
        batch = records[start : start + EVENTS_A_BATCH]
        position = fold_batch(shard, position, batch, open_batch(batch, keys))
        shard.keep_up()
    seconds = time.perf_counter() - started
    shard.close()
    return MEMORIES / seconds


def _opened(records: list[LogRecord], keys: KeyStore) -> list[Event]:
    return open_batch(records, keys).events


def _vector(home: Path, records: list[LogRecord], keys: KeyStore) -> Row:
    found = _fold("vector", home, records, keys)
    table = None
    connection = lancedb.connect(str(home / "bare-lance"))
    batches = []
    for start in range(0, len(records), EVENTS_A_BATCH):
        operations = [
            o
            for event in _opened(records[start : start + EVENTS_A_BATCH], keys)
            for o in event.body.operations
        ]
        packed = b"".join(operation.vector or b"" for operation in operations)
        vectors = pa.FixedSizeListArray.from_arrays(
            pa.Array.from_buffers(pa.float16(), 256 * len(operations), [None, pa.py_buffer(packed)]),
            256,
        )
        batches.append(
            pa.table(
                {
                    "id": [o.memory_id for o in operations],
                    "text": [o.text for o in operations],
                    "vector": vectors,
                }
            )
        )
    started = time.perf_counter()
    for batch in batches:
        if table is None:
            table = connection.create_table("t", batch)
        else:
            table.add(batch)
    limit = MEMORIES / (time.perf_counter() - started)
    return Row(
        "open + fold into vector, 1,000 memories a commit",
        rate(found),
        "",
        f"bare LanceDB append, 3 columns {rate(limit)}",
    )


def _graph(home: Path, records: list[LogRecord], keys: KeyStore) -> Row:
    found = _fold("graph", home, records, keys)
    store = pyoxigraph.Store(str(home / "bare-oxigraph"))
    quads = [
        [
            pyoxigraph.Quad(
                pyoxigraph.NamedNode(f"urn:x:{change.assertion_id}"),
                pyoxigraph.NamedNode("urn:p"),
                pyoxigraph.Literal(f"{name} {value}"),
            )
            for event in _opened(records[start : start + EVENTS_A_BATCH], keys)
            for change in event.body.relations
            for name, value in (("source", change.source), ("target", change.target))
        ]
        for start in range(0, len(records), EVENTS_A_BATCH)
    ]
    started = time.perf_counter()
    for batch in quads:
        store.extend(batch)
    limit = MEMORIES / (time.perf_counter() - started)
    return Row(
        "open + fold into graph, 1,000 relations a commit",
        rate(found),
        "",
        f"bare extend, 2 quads each {rate(limit)}",
    )


def _archive(home: Path, records: list[LogRecord]) -> Row:
    shard = ArchiveShard(home / "archive", EVENTS, 0)
    started = time.perf_counter()
    for start in range(0, len(records), 100):
        shard.append(records[start : start + 100])
    found = MEMORIES / (time.perf_counter() - started)
    shard.close()
    started = time.perf_counter()
    for start in range(0, len(records), 100):
        rows = records[start : start + 100]
        pq.write_table(
            pa.table({"offset": [r.offset for r in rows], "value": [r.value for r in rows]}),
            home / f"{start}.parquet",
            compression="zstd",
        )
    limit = MEMORIES / (time.perf_counter() - started)
    return Row(
        "archive, 100 events of 100 memories a segment",
        rate(found),
        "",
        f"bare Parquet, 2 columns, no fsync {rate(limit)}",
    )
