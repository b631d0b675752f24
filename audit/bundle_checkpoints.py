"""The proofs of a bundle: which checkpoint of each tree its records are proven against, and the hashes that lead there."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from contextlib import closing
from typing import Any, NamedTuple

from memfold.audit.bundle_records import place_of
from memfold.audit.checkpoints import Checkpoint, TreeName
from memfold.audit.merkle import inclusion_proof, is_included
from memfold.audit.node_file import NodeFile
from memfold.audit.notes import Verifier, open_note, split_note
from memfold.audit.seal_errors import ProofRefused
from memfold.audit.seal_files import SealFiles
from memfold.projections.archive_rows import leaf_hash
from memfold.schemas.records import LogRecord


class Chosen(NamedTuple):
    """A checkpoint with its note, signatures and all."""

    size: int
    root: bytes
    note: str


def chosen(
    files: SealFiles, verifier: Verifier, tree: TreeName, last: int, witnessed: Sequence[str]
) -> Chosen:
    """The checkpoint with the most signatures, of those about a tree up to the offset `last`; `witnessed` are notes of any trees.

    Raises ProofRefused where nothing sealed goes so far, NoteRefused for a note that the log did not sign.
    """
    newest = files.newest(tree)
    notes = [*([newest.note] if newest else []), *witnessed]
    found: list[tuple[int, Chosen]] = []
    for note in notes:
        checkpoint = Checkpoint.parse(open_note(note, verifier))
        if checkpoint.origin == f"{verifier.name}/{tree}" and checkpoint.size > last:
            found.append((len(split_note(note)[1]), Chosen(checkpoint.size, checkpoint.root, note)))
    if not found:
        raise ProofRefused(f"{tree} offset {last} is not sealed yet: run `memfold audit seal` first")
    return max(found, key=lambda one: (one[0], one[1].size))[1]


def proofs_of(
    files: SealFiles, tree: TreeName, checkpoint: Chosen, records: Sequence[LogRecord]
) -> list[dict[str, Any]]:
    """Of each record of a tree {topic, partition, offset, hashes}. Raises ProofRefused where a record is not what was sealed."""
    proofs: list[dict[str, Any]] = []
    with closing(NodeFile(files.nodes_path(tree))) as nodes:
        for record in records:
            hashes = inclusion_proof(record.offset, checkpoint.size, nodes)
            if not is_included(
                leaf_hash(record.value), record.offset, checkpoint.size, hashes, checkpoint.root
            ):
                raise ProofRefused(
                    f"{tree} offset {record.offset}: what is archived is not what was sealed, or {nodes.path} is damaged; "
                    "`memfold audit verify` says which"
                )
            proofs.append(place_of(record) | {"hashes": [b64encode(part).decode() for part in hashes]})
    return proofs
