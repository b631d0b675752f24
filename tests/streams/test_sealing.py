"""Seals on a real topic: published as they are made, never twice forgotten, and a home that was put back is refused."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from memfold.audit.checkpoints import Seal, TreeName
from memfold.audit.notes import open_note
from memfold.audit.seal_errors import SealRefused
from memfold.audit.seal_files import SealFiles
from memfold.audit.seal_key import seal_verifier, signing_key
from memfold.audit.sealing import Sealer
from memfold.audit.witness import Witness
from memfold.projections.archive import ArchiveShard
from memfold.schemas.partitions import EVENTS, SEALS
from memfold.schemas.records import LogRecord
from memfold.streams.connection import Connection
from memfold.streams.reader import LogReader
from memfold.streams.sealing import SealRole, ask_for_seal
from memfold.streams.topics import TopicPlan, ensure_topics
from memfold.streams.writer import LogWriter

TREE = TreeName(EVENTS, 0)


def log(count: int) -> list[LogRecord]:
    return [LogRecord(EVENTS, 0, n, n, b"", b"record %d" % n) for n in range(count)]


@pytest.fixture
def reader(connection: Connection) -> Iterator[LogReader]:
    ensure_topics(connection, TopicPlan())
    with closing(LogReader(connection)) as reader:
        yield reader


def published(reader: LogReader, home: Path) -> list[str]:
    """What the topic has of this home, in order."""
    name = seal_verifier(home / "seals").name
    low, end = reader.bounds(SEALS, 0)
    values = [record.value.decode() for batch in reader.read(SEALS, 0, low, end) for record in batch]
    return [value for value in values if name in value]


async def run_until(home: Path, connection: Connection, reader: LogReader, notes: int) -> None:
    """The role, until the topic has that many notes of the home."""
    writer = LogWriter(connection)
    role = SealRole(lambda: Sealer(home / "archive", home / "seals", 1), home / "seals", writer, reader)
    running = asyncio.create_task(role.run())
    try:
        async with asyncio.timeout(60):
            while not running.done():
                await asyncio.sleep(0.05)
                if (home / "seals" / "vkey").exists():
                    ask_for_seal(home / "seals")
                    if len(await asyncio.to_thread(published, reader, home)) >= notes:
                        break
        if running.done():
            running.result()
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError, SealRefused):
            await running
        await asyncio.to_thread(writer.close)


def archived(home: Path, count: int) -> None:
    with closing(ArchiveShard(home / "archive", EVENTS, 0)) as shard:
        shard.append(log(count))


async def test_every_seal_is_published_and_a_witness_can_follow_the_topic(
    connection: Connection, reader: LogReader, tmp_path: Path
) -> None:
    # Each round publishes the seals of all three trees at first, later of the one with news; and the heads.
    for count, notes in ((5, 4), (9, 6), (40, 8)):
        archived(tmp_path, count)
        await run_until(tmp_path, connection, reader, notes)
    files, verifier = SealFiles(tmp_path / "seals"), seal_verifier(tmp_path / "seals")
    texts = published(reader, tmp_path)
    seals = [Seal.parse(text) for text in texts if text.startswith("old ")]
    mine = [seal for seal in seals if f"{EVENTS}/0\n" in seal.note]
    assert mine == files.seals(TREE)
    assert [text for text in texts if not text.startswith("old ")] == files.heads()
    assert all(open_note(seal.note, verifier) for seal in seals)
    witness = Witness(tmp_path / "witness", verifier, signing_key(tmp_path / "witness" / "key", "w"))
    assert [one.size for one in witness.take(mine)] == [5, 9, 40]


async def test_what_a_crash_kept_from_the_topic_is_published_by_the_next_sealer(
    connection: Connection, reader: LogReader, tmp_path: Path
) -> None:
    archived(tmp_path, 5)
    for count in (5, 9):
        archived(tmp_path, count)
        with closing(Sealer(tmp_path / "archive", tmp_path / "seals", 1)) as sealer:
            sealer.seal()
    await run_until(tmp_path, connection, reader, 6)
    texts = published(reader, tmp_path)
    assert len(texts) == 6
    # And once more when only the mark of what is published was lost.
    (tmp_path / "seals" / "published").unlink()
    await run_until(tmp_path, connection, reader, 12)
    assert sorted(published(reader, tmp_path)) == sorted(texts * 2)


async def test_a_home_that_was_put_back_does_not_fork_the_log(
    connection: Connection, reader: LogReader, tmp_path: Path
) -> None:
    archived(tmp_path, 5)
    await run_until(tmp_path, connection, reader, 4)
    shutil.copytree(tmp_path / "seals", tmp_path / "copy")
    archived(tmp_path, 9)
    await run_until(tmp_path, connection, reader, 6)
    shutil.rmtree(tmp_path / "seals")
    shutil.copytree(tmp_path / "copy", tmp_path / "seals")
    with pytest.raises(SealRefused, match=r"has a seal of 9 records, .* knows of 5 only"):
        await run_until(tmp_path, connection, reader, 100)
    assert len(published(reader, tmp_path)) == 6
