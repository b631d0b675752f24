"""The seal role: seals the archive as it grows, and publishes every seal on memfold.seals.

It looks at the archive's own segments, so it needs no consumer group. One sealer works on a home; a second one waits for its lock.
Files come first, then the topic: what a crash kept from the topic is published by the next sealer, and a witness that reads a
seal twice passes over it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from memfold.audit.checkpoints import Heads, is_heads, split_notes
from memfold.audit.notes import Verifier, open_note
from memfold.audit.seal_errors import NoteRefused, SealerRunning, SealRefused
from memfold.audit.seal_files import SealFiles
from memfold.audit.sealing import Sealer
from memfold.memory.errors import MemfoldError
from memfold.schemas.partitions import SEALS
from memfold.streams.reader import LogReader
from memfold.streams.writer import LogWriter

PACE = 10.0
"""Least seconds between two rounds: segments come twice a second under load, and a seal each would outgrow what it seals."""
POLL = 0.5
AGAIN = 30.0
"""Seconds until sealing is tried again after it was refused, or could not be done."""
_LAST = 500

T = TypeVar("T")

logger = logging.getLogger(__name__)


class SealRole:
    """Seals and publishes, until it is cancelled."""

    def __init__(
        self, open_sealer: Callable[[], Sealer], folder: Path, writer: LogWriter, reader: LogReader
    ) -> None:
        self._open, self._files = open_sealer, SealFiles(folder)
        self._published = Published(self._files, writer)
        self._reader = reader

    async def keep_on(self) -> None:
        """`run`, begun again after what stopped it was logged: memory is served on while nothing is signed."""
        while True:
            try:
                await self.run()
            except (MemfoldError, OSError) as failure:
                logger.error("nothing is sealed: %s", failure)
            await asyncio.sleep(AGAIN)

    async def run(self) -> None:
        """Raises SealRefused, SealKeyReplaced, ShardDamaged, NotWritten, WriteUnknown, BrokerUnreachable."""
        sealer = await self._opened()
        try:
            await _finished(lambda: refuse_older(self._files, sealer.signer.verifier(), self._reader))
            await self._published.catch_up()
            sealed = -PACE
            while True:
                # Who asks waits for heads: they are made of an empty log too.
                asked = seal_is_asked(self._files.folder)
                if asked or (time.monotonic() - sealed >= PACE and await _finished(sealer.news)):
                    await _finished(sealer.seal)
                    await self._published.catch_up()
                    sealed = time.monotonic()
                await asyncio.sleep(POLL)
        finally:
            sealer.close()

    async def _opened(self) -> Sealer:
        while True:
            with contextlib.suppress(SealerRunning):
                return await _finished(self._open)
            await asyncio.sleep(POLL)


async def _finished(work: Callable[[], T]) -> T:
    """In a thread, and to its end even when this task is cancelled: a sealer must not be closed under the thread's feet."""
    task = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


class Published:
    """How far each file of seals is on the topic: `seals/published`, in bytes, moved on after the broker's word."""

    def __init__(self, files: SealFiles, writer: LogWriter) -> None:
        self._files, self._writer = files, writer
        self._path = files.folder / "published"

    async def catch_up(self) -> None:
        """Publish what is new: seals first, then heads. Hold the sealer's lock. Raises NotWritten, WriteUnknown."""
        done: dict[str, int] = json.loads(self._path.read_text()) if self._path.exists() else {}
        before = dict(done)
        trees = [self._files.seals_path(tree) for tree in self._files.trees()]
        for path in [*trees, self._files.heads_path]:
            notes, size = await asyncio.to_thread(_behind, path, done.get(path.name, 0))
            records = [(path.stem.encode(), note.encode()) for note in notes]
            await self._writer.append(SEALS, 0, records)
            done[path.name] = size
        if done != before:
            temporary = self._path.with_name(".published.tmp")
            temporary.write_text(json.dumps(done))
            temporary.rename(self._path)


def _behind(path: Path, place: int) -> tuple[list[str], int]:
    """The whole notes of a file from a byte on, and where the last of them ends."""
    if not path.exists():
        return [], 0
    with path.open("rb") as file:
        file.seek(place)
        text = file.read().decode()
    notes, torn = split_notes(text)
    return notes, place + len(text.encode()) - len(torn.encode())


def refuse_older(files: SealFiles, verifier: Verifier, reader: LogReader) -> None:
    """Raises SealRefused when the topic has newer seals of this log than the files: a home that was put back must not fork it."""
    low, end = reader.bounds(SEALS, 0)
    newest = files.newest_heads(verifier)
    known = {head.tree: head.size for head in newest.heads} if newest else {}
    for batch in reader.read(SEALS, 0, max(low, end - _LAST), end):
        for record in batch:
            text = record.value.decode(errors="replace")
            if not is_heads(text):
                continue
            try:
                heads = Heads.parse(open_note(text, verifier))
            except NoteRefused:
                # Another home's, or somebody's who can write to the topic: no word of this log.
                continue
            for head in heads.heads:
                if head.size > known.get(head.tree, 0):
                    raise SealRefused(
                        f"{head.tree}: {SEALS} has a seal of {head.size} records, {files.folder} knows of "
                        f"{known.get(head.tree, 0)} only: an older copy of the home was put back. Restore the newest one"
                    )


def seal_is_asked(folder: Path) -> bool:
    """Whether somebody asked for a seal at once; the question is taken away."""
    with contextlib.suppress(FileNotFoundError):
        (folder / "now").unlink()
        return True
    return False


def ask_for_seal(folder: Path) -> None:
    """Have the running sealer not wait for its pace."""
    (folder / "now").touch(mode=0o600)
