"""A witness: somebody else's process that remembers what it has seen of a log, and countersigns only what continues it.

Its state is one cosigned checkpoint a tree (cosignature/v1 of C2SP), in a folder of its own. It trusts nothing but the log's public
key; the proofs come with the seals. What it has signed is what an auditor gives to `memfold audit verify --against`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from memfold.audit.checkpoints import Checkpoint, Seal, TreeName
from memfold.audit.merkle import EMPTY, is_consistent
from memfold.audit.notes import COSIGNATURE, Signer, Verifier, open_note
from memfold.audit.seal_errors import NoteRefused, ProofRefused


class Witness:
    """Watches one log, whose key is `log`. Use one process for one state folder."""

    def __init__(
        self, state: Path, log: Verifier, signer: Signer, clock: Callable[[], float] = time.time
    ) -> None:
        self._state, self._log, self._signer, self._clock = state, log, signer, clock
        state.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, tree: TreeName) -> Path:
        """Where the tree's newest cosigned checkpoint stands."""
        return self._state / f"{tree.topic}-{tree.partition:05d}.checkpoint"

    def seen(self, tree: TreeName) -> Checkpoint | None:
        """What this witness signed last. Raises NoteRefused when its own state was tampered with."""
        path = self.path(tree)
        if not path.exists():
            return None
        note = path.read_text(encoding="utf-8")
        open_note(note, self._signer.verifier(COSIGNATURE))
        return Checkpoint.parse(open_note(note, self._log))

    def take(self, seals: Iterable[Seal]) -> list[Checkpoint]:
        """Countersign the seals of one tree, oldest first; the checkpoints that are new.

        Raises ProofRefused, NoteRefused; then nothing more is signed.

        Seals that are older than what was seen are passed over: their trees were seen inside a larger one. A seal of the size
        that was seen must have its root.
        """
        taken: list[Checkpoint] = []
        for seal in seals:
            checkpoint = Checkpoint.parse(open_note(seal.note, self._log))
            if not checkpoint.origin.startswith(f"{self._log.name}/"):
                raise NoteRefused(f"{checkpoint.origin} is not a tree of {self._log.name}")
            seen = self.seen(checkpoint.tree)
            if seen is not None and checkpoint.size < seen.size:
                continue
            if seen is not None and checkpoint.size == seen.size and checkpoint.root == seen.root:
                continue
            self._check(seal, checkpoint, seen)
            self._keep(seal.note, checkpoint)
            taken.append(checkpoint)
        return taken

    def _check(self, seal: Seal, new: Checkpoint, seen: Checkpoint | None) -> None:
        # The first sight of a tree is believed as it is: nobody can prove what was before there was a witness.
        if seen is None:
            return
        if seal.old != seen.size and new.size != seen.size:
            raise ProofRefused(
                f"{new.tree}: this witness has seen {seen.size} records, the seal continues from {seal.old}; the seals between are missing"
            )
        root = EMPTY if seen.size == 0 else seen.root
        if not is_consistent(seen.size, new.size, seal.proof, root, new.root):
            raise ProofRefused(
                f"{new.tree}: the seal of {new.size} records does not continue the {seen.size} that this witness has seen; "
                "history was rewritten. Keep both checkpoints, they are evidence; nothing was signed"
            )

    def _keep(self, note: str, checkpoint: Checkpoint) -> None:
        """Write before anybody can be told: a witness that forgets what it signed could sign the opposite."""
        path = self.path(checkpoint.tree)
        temporary = path.with_name(f".{path.name}.tmp")
        with temporary.open("w", encoding="utf-8") as file:
            file.write(self._signer.cosign(note, int(self._clock())))
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        descriptor = os.open(self._state, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
