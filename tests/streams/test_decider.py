"""The decide sink on a real Kafka: what stands in the events topic, whatever the models do meanwhile."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from memfold.memory.errors import ForeignWriter
from memfold.memory.facts import Extraction, Utterances
from memfold.memory.understanding import Models
from memfold.schemas import codec
from memfold.schemas.codec import encode, name_of
from memfold.schemas.errors import ReaderTooOld, UnknownSchema
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import COMMANDS, EVENTS, key_of
from memfold.schemas.records import (
    AddRequested,
    ClearRequested,
    Command,
    Envelope,
    Event,
    Item,
    LogRecord,
    MemoriesDecided,
    Message,
    Scope,
)
from memfold.schemas.registry import Schema, newest, with_fingerprint
from memfold.streams.connection import Connection
from memfold.streams.decider import DecideRoom, DecideSink
from memfold.streams.ledger import Ledger
from memfold.streams.outcomes import Outcomes
from memfold.streams.progress import Progress
from memfold.streams.projecting import open_batch
from memfold.streams.quarantine import Quarantine
from memfold.streams.reader import LogReader
from memfold.streams.topics import TopicPlan, ensure_topics
from memfold.streams.writer import LogWriter
from tests.memory.models import HashEmbedder, ScriptedDecider, SentenceExtractor
from tests.streams.test_parts import Index


class ModelBug(Exception):
    pass


class GatedExtractor(SentenceExtractor):
    """Answers about a text when its gate is open; every gate is, unless a test shuts it. Has a bug about "bug"."""

    def __init__(self) -> None:
        super().__init__()
        self.gates: dict[str, asyncio.Event] = {}
        self.begun: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def shut(self, text: str) -> asyncio.Event:
        self.gates[text] = asyncio.Event()
        return self.gates[text]

    async def extract(self, said: Utterances) -> Extraction:
        text = said.items[0].messages[0].content
        self.begun[text].set()
        if text in self.gates:
            await self.gates[text].wait()
        if text == "bug":
            raise ModelBug
        return await super().extract(said)


@dataclass
class Partition:
    """Partition 0 as its owner sees it; commands come with offsets of their own. Events of other tests are unreadable to it."""

    connection: Connection
    folder: Path
    extractor: GatedExtractor = field(default_factory=GatedExtractor)
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        ensure_topics(self.connection, TopicPlan(partitions=3))
        self.keys = KeyStore(self.folder / "keys.db", bytes(32))
        self.reader = LogReader(self.connection)
        self.writer = LogWriter(self.connection)
        self.failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self.begin = self.reader.bounds(EVENTS, 0)[1]
        self.commands: list[LogRecord] = []
        self.told: list[MemoriesDecided] = []

    async def owner(self) -> tuple[DecideSink, int]:
        """A sink as a process that just took the partition has it, and where it begins."""
        self.progress = Progress()
        room = DecideRoom(
            Models(HashEmbedder(), self.extractor, ScriptedDecider()),
            Index(at=10**9),
            Index(at=10**9),
            self.keys,
            self.reader,
            self.writer,
            Quarantine(self.writer),
            self.progress,
            Outcomes(),
            self.told.append,
        )
        sink = DecideSink(0, Ledger(self.folder / "ledger.db"), room)
        return sink, await sink.open(self.failed.set_result)

    def command(self, user: str, command: Command) -> LogRecord:
        subject = self.keys.subject_of("t", "user", user)
        key_id, key = self.keys.sealing_key(subject)
        command_id = str(uuid.uuid4())
        envelope = Envelope(
            command_id, name_of(command), "t", subject, command_id, datetime.now(UTC), b"", key_id, b""
        )
        return self.at_end(key_of("t", subject), encode(envelope, command, key))

    def at_end(self, key: bytes, value: bytes) -> LogRecord:
        record = LogRecord(COMMANDS, 0, len(self.commands), 0, key, value)
        self.commands.append(record)
        return record

    def says(self, user: str, text: str) -> LogRecord:
        said = [Item([Message("user", text)])]
        return self.command(user, AddRequested(Scope(user_id=user), said))

    async def decided(self, record: LogRecord) -> None:
        assert await self.progress.reach(0, record.offset, 20)

    def events(self) -> list[Event]:
        _, end = self.reader.bounds(EVENTS, 0)
        batches = self.reader.read(EVENTS, 0, self.begin, end)
        return [event for records in batches for event in open_batch(records, self.keys).events]

    def texts(self) -> list[str]:
        return [done.text for event in self.events() for done in event.body.operations if done.op == "ADD"]


@pytest.fixture
async def partition(connection: Connection, tmp_path: Path) -> AsyncIterator[Partition]:
    partition = Partition(connection, tmp_path)
    yield partition
    partition.writer.close()
    partition.reader.close()
    partition.keys.close()


async def test_a_slow_subject_holds_no_decision_up_and_no_event_overtakes_it(partition: Partition) -> None:
    slow = partition.extractor.shut("slow")
    sink, _ = await partition.owner()
    await sink.process([partition.says("alex", "slow"), partition.says("alex", "after slow")])
    last = partition.says("bob", "quick")
    await sink.process([last])
    await partition.extractor.begun["quick"].wait()
    assert not partition.extractor.begun["after slow"].is_set(), "one subject's commands are decided in turn"
    assert partition.texts() == []
    slow.set()
    await partition.decided(last)
    assert partition.texts() == ["slow", "after slow", "quick"]
    assert [event.envelope.command_offset for event in partition.events()] == [0, 1, 2]
    await sink.close()


async def test_a_command_that_comes_again_inside_the_window_counts_once(partition: Partition) -> None:
    slow = partition.extractor.shut("slow")
    sink, _ = await partition.owner()
    first = partition.says("alex", "slow")
    again = [partition.at_end(first.key, first.value) for _ in range(2)]
    await sink.process([first, *again])
    assert sink.ledger.command_offset == -1, "a repeat does not overtake what it repeats"
    slow.set()
    await partition.decided(again[-1])
    await sink.process([partition.at_end(first.key, first.value)])
    await partition.decided(partition.commands[-1])
    assert partition.texts() == ["slow"]
    assert [done.text for body in partition.told for done in body.operations] == ["slow"], (
        "counted once as well"
    )
    assert sink.ledger.command_offset == 3
    await sink.close()


async def test_a_failure_is_told_though_nothing_comes_any_more_and_the_next_owner_goes_on(
    partition: Partition,
) -> None:
    slow = partition.extractor.shut("slow")
    sink, _ = await partition.owner()
    before = partition.says("alex", "before")
    await sink.process([before])
    await partition.decided(before)
    await sink.process(
        [partition.says(*said) for said in (("alex", "slow"), ("bob", "bug"), ("carl", "after"))]
    )
    assert isinstance(await partition.failed, ModelBug)
    slow.set()
    with pytest.raises(ModelBug):
        await sink.process([partition.says("dora", "later")])
    await sink.close()
    assert partition.texts() == ["before"]
    next_owner, begin = await partition.owner()
    assert begin == 1
    await next_owner.process([record for record in partition.commands[1:] if record.offset != 2])
    await partition.decided(partition.commands[-1])
    assert partition.texts() == ["before", "slow", "after", "later"]
    await next_owner.close()


async def test_an_owner_that_is_closed_gives_up_what_it_decides_and_the_next_one_decides_it(
    partition: Partition,
) -> None:
    slow = partition.extractor.shut("slow")
    sink, _ = await partition.owner()
    await sink.process([partition.says("alex", "slow"), partition.says("bob", "quick")])
    await partition.extractor.begun["quick"].wait()
    await sink.close()
    slow.set()
    await asyncio.sleep(0)
    assert partition.extractor.asked == 1, "nothing of a closed owner goes on"
    assert partition.texts() == []
    next_owner, begin = await partition.owner()
    assert begin == 0
    await next_owner.process(partition.commands)
    await partition.decided(partition.commands[-1])
    assert partition.texts() == ["slow", "quick"]
    assert not partition.failed.done()
    await next_owner.close()


async def test_another_writer_ends_the_process(partition: Partition) -> None:
    sink, _ = await partition.owner()
    await partition.writer.append(EVENTS, 0, [(b"k", b"not ours")])
    await sink.process([partition.says("alex", "mine")])
    assert isinstance(await partition.failed, ForeignWriter)
    await sink.close()


async def test_a_clear_of_the_tenant_waits_for_all_and_is_known_to_every_state(partition: Partition) -> None:
    slow = partition.extractor.shut("I am slow")
    sink, _ = await partition.owner()
    before = [partition.says(user, "I like tea") for user in ("alex", "bob")]
    clear = partition.command("tenant", ClearRequested(Scope(), whole_tenant=True))
    after = [partition.says(user, "I like tea") for user in ("alex", "bob")]
    processing = asyncio.create_task(
        sink.process([partition.says("alex", "I am slow"), *before, clear, *after])
    )
    await partition.extractor.begun["I like tea"].wait()
    assert not processing.done()
    slow.set()
    await processing
    await partition.decided(after[-1])
    outcomes = [[done.op for done in event.body.operations] for event in partition.events()]
    assert outcomes == [["ADD"], ["ADD"], ["ADD"], [], ["ADD"], ["ADD"]], (
        "said again after the clear, it is new"
    )
    await sink.close()


async def test_a_command_that_a_newer_memfold_wrote_stops_the_partition_and_is_not_put_aside(
    partition: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, _ = await partition.owner()
    newer = partition.says("alex", "said to a newer memfold")

    def unknown(fingerprint: bytes) -> Schema:
        if fingerprint == newest("add_requested").fingerprint:
            raise UnknownSchema(f"no released schema has the fingerprint {fingerprint.hex()}")
        return with_fingerprint(fingerprint)

    with monkeypatch.context() as older:
        older.setattr(codec, "with_fingerprint", unknown)
        with pytest.raises(ReaderTooOld, match="Upgrade memfold"):
            await sink.process([newer])
    assert sink.ledger.command_offset == -1
    await sink.process([newer])
    await partition.decided(newer)
    assert partition.texts() == ["said to a newer memfold"]
    await sink.close()
