"""Sealing, verifying and proving over a home: where the parts of the audit room meet the broker and the files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from memfold.audit.bundle_file import checkpoint_files
from memfold.audit.checkpoints import Checkpoint, TreeName
from memfold.audit.findings import Report
from memfold.audit.notes import Verifier
from memfold.audit.proofs import Place, locate
from memfold.audit.receipts import SignedReceipt, check_receipt
from memfold.audit.seal_errors import SealerRunning
from memfold.audit.seal_files import SealFiles
from memfold.audit.seal_key import seal_key, seal_verifier
from memfold.audit.sealing import Sealer
from memfold.audit.verifying import Evidence, verify
from memfold.memory.errors import BrokerUnreachable, NotVisibleYet, ShardLocked, UnknownMemory
from memfold.projections.archive import ArchiveShard
from memfold.projections.archive_rows import leaf_hash
from memfold.projections.archive_segments import segments
from memfold.projections.archive_source import ArchiveSource
from memfold.schemas.codec import decode_envelope
from memfold.schemas.errors import Unreadable
from memfold.schemas.partitions import KEPT, key_of
from memfold.serve.embedded import running_stack
from memfold.serve.keys import is_there, keys_of
from memfold.serve.parts import Parts
from memfold.serve.repartitioned import check_made, made_from
from memfold.serve.settings import Settings
from memfold.streams.reader import LogReader
from memfold.streams.sealing import Published, ask_for_seal
from memfold.streams.writer import LogWriter

_PATIENCE = 120.0
_POLL = 0.1


def archive_of(settings: Settings) -> Path:
    return settings.folder / "archive"


def seals_of(settings: Settings) -> Path:
    return settings.folder / "seals"


def seal_now(settings: Settings) -> dict[str, Any]:
    """Archive and seal what is in the log now, by the workers that run or by ourselves: {key, time, heads}.

    Raises BrokerUnreachable, SealRefused, SealKeyReplaced, NotVisibleYet where the workers do not come that far in two minutes.
    """
    # What is in the log has to be archived also where somebody added partitions: it is the way back from there.
    parts = Parts.open(settings, running_stack(settings) or settings.bootstrap_servers, beyond=True)
    try:
        ends = parts.ends()
        for (topic, partition), end in ends.items():
            _archive(settings, parts.reader, topic, partition, end)
        try:
            with closing(Sealer(archive_of(settings), seals_of(settings), parts.partitions)) as sealer:
                sealer.seal()
                asyncio.run(_publish(sealer.files, parts))
        except SealerRunning:
            _wait_for_sealer(settings, ends)
    finally:
        asyncio.run(parts.close())
    verifier = seal_verifier(seals_of(settings))
    heads = SealFiles(seals_of(settings)).newest_heads(verifier)
    assert heads is not None
    sizes = [{"tree": str(head.tree), "size": head.size, "root": head.root.hex()} for head in heads.heads]
    return {"key": str(verifier), "time": heads.time, "heads": sizes}


def _archive(settings: Settings, reader: LogReader, topic: str, partition: int, end: int) -> None:
    try:
        with closing(ArchiveShard(archive_of(settings), topic, partition)) as shard:
            for records in reader.read(topic, partition, shard.position() + 1, end):
                shard.append(records)
    except ShardLocked:
        source = ArchiveSource(archive_of(settings))
        _wait(lambda: source.position(topic, partition) >= end - 1, f"{topic}/{partition} is not archived")


async def _publish(files: SealFiles, parts: Parts) -> None:
    writer = LogWriter(parts.connection)
    try:
        await Published(files, writer).catch_up()
    finally:
        await asyncio.to_thread(writer.close)


def _wait_for_sealer(settings: Settings, ends: dict[tuple[str, int], int]) -> None:
    files = SealFiles(seals_of(settings))

    def sealed() -> bool:
        newest = files.newest_heads(seal_verifier(files.folder)) if files.heads_path.exists() else None
        sizes = {head.tree: head.size for head in newest.heads} if newest else {}
        return all(sizes.get(TreeName(*tree), -1) >= end for tree, end in ends.items())

    ask_for_seal(files.folder)
    _wait(sealed, "what is archived is not sealed")


def _wait(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise NotVisibleYet(f"{what} after {_PATIENCE:.0f} s; the worker's log says why")
        time.sleep(_POLL)


class Checking:
    """What a verification of a home works on, opened: the log where one answers, the key store where there is one."""

    def __init__(self, settings: Settings, *, log: bool, key: str | None) -> None:
        self._settings, self._closing = settings, ExitStack()
        self.verifier = Verifier.parse(key) if key else seal_verifier(seals_of(settings))
        self.log: LogReader | None = None
        if log:
            servers = running_stack(settings) or settings.bootstrap_servers
            if servers is None:
                raise BrokerUnreachable(
                    f"no Kafka runs in {settings.folder} and bootstrap_servers is not set; start it with `memfold up`, "
                    "or check archive against seals only with --no-log"
                )
            self.log = LogReader(settings.connection(servers))
            self._closing.callback(self.log.close)
        self.keys = keys_of(settings) if is_there(settings) else None
        if self.keys is not None:
            self._closing.callback(self.keys.close)

    @property
    def partitions(self) -> int:
        """As many as archive and seals know of, or the settings say."""
        archive = archive_of(self._settings)
        found = [one.partition for topic in KEPT for one in segments(archive, topic)]
        found += [tree.partition for tree in SealFiles(seals_of(self._settings)).trees()]
        return max(found, default=self._settings.partitions - 1) + 1

    def records(self) -> int:
        """About how many records there are to go through."""
        if self.log is not None:
            return sum(self.log.ends(self.partitions).values())
        ends: dict[tuple[str, int], int] = {}
        for topic in KEPT:
            for one in segments(archive_of(self._settings), topic):
                ends[topic, one.partition] = max(one.last + 1, ends.get((topic, one.partition), 0))
        return sum(ends.values())

    def verify(
        self, against: Sequence[Path], receipts: Sequence[Path], since: int, records: bool, advance: Callable[[int], None]
    ) -> Report:  # fmt: skip
        """Raises NoteRefused for a receipt that is none, and what the log raises."""
        kept = [path for each in against for path in checkpoint_files(each)]
        notes = [(str(path), path.read_text(encoding="utf-8")) for path in kept]
        archive, seals = archive_of(self._settings), seals_of(self._settings)
        made = made_from(self._settings.folder)
        evidence = Evidence(
            archive, seals, self.partitions, self.verifier, self.log, self.keys, notes, since, records,
            made.ends() if made else {},
        )  # fmt: skip
        report = verify(evidence, advance)
        if made and self.keys is not None:
            check_made(made, archive, {key_of(*each) for each in self.keys.tenants()}, report)
        for path in receipts:
            receipt = SignedReceipt.parse(path.read_text(encoding="utf-8"), self.verifier)
            check_receipt(receipt, archive, self.log, report)
        return report

    def close(self) -> None:
        self._closing.close()


def receipt_of(settings: Settings, record_id: str) -> str:
    """The signed receipt of a record that is in the log, archived or not. Raises UnknownMemory, BrokerUnreachable, SealKeyReplaced."""
    try:
        place = locate(archive_of(settings), record_id)
    except UnknownMemory:
        place = _in_the_tail(settings, record_id)
    receipt = SignedReceipt(record_id, place.tree, place.offset, place.leaf, place.time)
    return receipt.note(seal_key(seals_of(settings)))


def _in_the_tail(settings: Settings, record_id: str) -> Place:
    parts = Parts.open(settings, running_stack(settings) or settings.bootstrap_servers)
    source = ArchiveSource(archive_of(settings))
    try:
        for topic in KEPT:
            for partition in range(parts.partitions):
                start, end = source.position(topic, partition) + 1, parts.reader.bounds(topic, partition)[1]
                for batch in parts.reader.read(topic, partition, start, end):
                    for record in batch:
                        if _record_id(record.value) == record_id:
                            tree = TreeName(topic, partition)
                            return Place(tree, record.offset, leaf_hash(record.value), record.timestamp_ms)
    finally:
        asyncio.run(parts.close())
    raise UnknownMemory(f"no record in the log has the id {record_id}")


def _record_id(value: bytes) -> str:
    try:
        return decode_envelope(value)[0].record_id
    except Unreadable:
        return ""


def said_of(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.tree}: {checkpoint.size} records"
