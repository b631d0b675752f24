"""Signs what the archive holds, and nothing that is not a continuation of what it signed before.

Started, it hashes every archived value again up to each tree's last checkpoint and compares the root: an archive that was changed in
between is not sealed. Two sealers of one archive are kept apart by a lock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from memfold.audit.checkpoints import Checkpoint, Heads, Seal, TreeName
from memfold.audit.merkle import CompactRange, consistency_proof, root_of
from memfold.audit.node_file import NodeFile, stored
from memfold.audit.notes import Signer, open_note
from memfold.audit.seal_errors import NoteRefused, SealKeyReplaced, SealRefused
from memfold.audit.seal_files import SealFiles, append_note, remove_torn_end
from memfold.audit.seal_key import seal_key
from memfold.memory.errors import MemfoldError
from memfold.projections.archive_rows import leaf_hash
from memfold.projections.archive_source import ArchiveSource
from memfold.schemas.partitions import KEPT


class Sealer:
    """The one sealer of an archive and its seals. Use from one thread at a time. `clock` gives milliseconds since 1970.

    Raises SealerRunning, SealKeyReplaced, SealRefused (the archive is not what was sealed), ShardDamaged, NoteRefused.
    """

    def __init__(
        self,
        archive: Path,
        folder: Path,
        partitions: int,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.files = SealFiles(folder)
        self._source, self._clock = ArchiveSource(archive, verify=True), clock
        self._lock = self.files.lock()
        self._trees: dict[TreeName, _Tree] = {}
        try:
            self.signer: Signer = seal_key(folder)
            remove_torn_end(self.files.heads_path)
            for topic in KEPT:
                for partition in range(partitions):
                    name = TreeName(topic, partition)
                    self._trees[name] = _Tree(name, self.files, self._source, self.signer)
        except (MemfoldError, OSError):
            self.close()
            raise

    def news(self) -> bool:
        """Whether the archive holds more than is sealed. Raises ShardDamaged."""
        return any(
            self._source.position(tree.topic, tree.partition) >= grown.size
            for tree, grown in self._trees.items()
        )

    def seal(self) -> int:
        """Seal what is archived now; how many records that adds. Durable when it returns. Raises SealRefused, ShardDamaged."""
        added = sum(tree.seal() for tree in self._trees.values())
        newest = self.files.newest_heads(self.signer.verifier())
        heads = [tree.head() for tree in self._trees.values()]
        if newest is None or list(newest.heads) != heads:
            note = self.signer.sign(Heads(self.signer.name, self._clock(), heads).text())
            append_note(self.files.heads_path, note)
        return added

    def close(self) -> None:
        """Let another sealer in. Closing twice is allowed."""
        for tree in self._trees.values():
            tree.close()
        self._trees.clear()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


class _Tree:
    """One tree: its range, which stands where its last seal does, its nodes and its seals."""

    def __init__(self, name: TreeName, files: SealFiles, source: ArchiveSource, signer: Signer) -> None:
        self._name, self._source, self._signer = name, source, signer
        self._path = files.seals_path(name)
        remove_torn_end(self._path)
        newest = files.newest(name)
        self._range, self._sealed = CompactRange(), newest is not None
        self._nodes = NodeFile(files.nodes_path(name), write=True)
        if newest is not None:
            self._resume(_checked(newest, signer, self._path))
        else:
            self._nodes.cut(0)

    @property
    def size(self) -> int:
        return self._range.size

    def _resume(self, last: Checkpoint) -> None:
        """Hash the archive again up to the last checkpoint. Raises SealRefused."""
        archived = self._source.position(self._name.topic, self._name.partition) + 1
        if archived < last.size:
            raise SealRefused(
                f"{self._name}: {last.size} records were sealed, but only {archived} are archived; nothing is sealed. "
                "Restore the missing segments, or archive the topic again"
            )
        for leaves in self._leaves(last.size):
            self._range.extend(leaves)
        if self._range.root() != last.root:
            raise SealRefused(
                f"{self._name}: the {last.size} records that were sealed have another root now, so one of them was changed; "
                "nothing is sealed. `memfold audit verify` says between which seals"
            )
        path = self._nodes.path
        whole = path.stat().st_size >= stored(last.size) * 32
        if not whole or root_of(last.size, self._nodes) != last.root:
            self._range = CompactRange()
            for leaves in self._leaves(last.size):
                self._nodes.write(self._range, leaves)
        self._nodes.cut(last.size)

    def _leaves(self, end: int) -> Iterator[list[bytes]]:
        """The leaf hashes from where the range stands to before `end`."""
        if self._range.size >= end:
            return
        topic, partition = self._name.topic, self._name.partition
        for records in self._source.batches(topic, partition, self._range.size, end - 1):
            yield [leaf_hash(record.value) for record in records]

    def seal(self) -> int:
        """Sign the tree as it is archived now; how many records are new. A tree that never was sealed is, even when it is empty."""
        old = self._range.size
        end = self._source.position(self._name.topic, self._name.partition) + 1
        if end < old:
            raise SealRefused(
                f"{self._name}: {old} records are sealed, but only {end} are archived any more; nothing is sealed"
            )
        if end == old and self._sealed:
            return 0
        for leaves in self._leaves(end):
            self._nodes.write(self._range, leaves)
        note = self._signer.sign(self.head().text())
        append_note(self._path, Seal(old, consistency_proof(old, end, self._nodes), note).text())
        self._sealed = True
        return end - old

    def head(self) -> Checkpoint:
        return Checkpoint(f"{self._signer.name}/{self._name}", self._range.size, self._range.root())

    def close(self) -> None:
        self._nodes.close()


def _checked(seal: Seal, signer: Signer, path: Path) -> Checkpoint:
    try:
        return Checkpoint.parse(open_note(seal.note, signer.verifier()))
    except NoteRefused as refused:
        raise SealKeyReplaced(
            f"the last seal in {path} is not of this key: {refused}. Nothing is sealed; restore seals/key from a copy"
        ) from refused
