"""Proofs that travel alone: JSON that a stranger checks with the log's public key and nothing else.

An inclusion proof is about the leaf, the hash of the record's exact bytes; whoever has the record hashes it and compares.
"""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import pyarrow.compute as pc  # type: ignore[import-untyped]
from msgspec import Struct

from memfold.audit.checkpoints import Checkpoint, TreeName, hash_of
from memfold.audit.merkle import consistency_proof, inclusion_proof, is_consistent, is_included
from memfold.audit.node_file import NodeFile
from memfold.audit.notes import Verifier, open_note
from memfold.audit.seal_errors import ProofRefused
from memfold.audit.seal_files import SealFiles
from memfold.memory.errors import UnknownMemory
from memfold.projections.archive_files import read_batches
from memfold.projections.archive_segments import Segment, read_covers
from memfold.schemas.partitions import KEPT

Json = dict[str, Any]


class Place(Struct, frozen=True):
    """Where a record is. `time` is the broker's, in milliseconds since 1970."""

    tree: TreeName
    offset: int
    leaf: bytes
    time: int


def locate(archive: Path, record_id: str) -> Place:
    """The archived record with an id: an event's, a command's or a read's. Raises UnknownMemory, ShardDamaged."""
    for topic in KEPT:
        if (place := _located(archive, topic, record_id)) is not None:
            return place
    raise UnknownMemory(
        f"no archived record has the id {record_id}; if it is newer than the archive, run `memfold audit seal` first"
    )


def _located(archive: Path, topic: str, record_id: str) -> Place | None:
    while True:
        covers = read_covers(archive, topic)
        try:
            for partition, cover in covers.items():
                for segment in cover:
                    if (place := _inside(segment, TreeName(topic, partition), record_id)) is not None:
                        return place
            return None
        except FileNotFoundError:
            # A segment that the archive's writer has replaced since it was listed is found under its new name. One that is
            # listed again and still is not there was not replaced.
            if read_covers(archive, topic) == covers:
                raise


def _inside(segment: Segment, tree: TreeName, record_id: str) -> Place | None:
    columns = ["offset", "record_id", "leaf_hash", "timestamp_ms"]
    for batch in read_batches(segment, columns, segment.rows):
        row = pc.index(batch.column("record_id"), record_id).as_py()
        if row >= 0:
            found = batch.slice(row, 1).to_pylist()[0]
            return Place(tree, found["offset"], found["leaf_hash"], found["timestamp_ms"])
    return None


def prove(files: SealFiles, verifier: Verifier, record_id: str, place: Place) -> Json:
    """The inclusion proof of a record against its tree's newest checkpoint. Raises ProofRefused, NoteRefused."""
    newest = files.newest(place.tree)
    checkpoint = None if newest is None else Checkpoint.parse(open_note(newest.note, verifier))
    if newest is None or checkpoint is None or checkpoint.size <= place.offset:
        raise ProofRefused(
            f"{place.tree} offset {place.offset} is not sealed yet: run `memfold audit seal` first"
        )
    nodes = NodeFile(files.nodes_path(place.tree))
    try:
        proof = inclusion_proof(place.offset, checkpoint.size, nodes)
    finally:
        nodes.close()
    if not is_included(place.leaf, place.offset, checkpoint.size, proof, checkpoint.root):
        raise ProofRefused(
            f"{place.tree} offset {place.offset}: what is archived is not what was sealed, or {nodes.path} is damaged; "
            "`memfold audit verify` says which"
        )
    return {
        "proof": "inclusion",
        "record_id": record_id,
        "offset": place.offset,
        "leaf_hash": b64encode(place.leaf).decode(),
        "hashes": [b64encode(part).decode() for part in proof],
        "checkpoint": newest.note,
    }


def prove_consistency(files: SealFiles, verifier: Verifier, first: str, second: str) -> Json:
    """The proof that the tree of one checkpoint's note is the beginning of that of another. Raises ProofRefused, NoteRefused."""
    old, new = (Checkpoint.parse(open_note(note, verifier)) for note in (first, second))
    if old.origin != new.origin:
        raise ProofRefused(f"{old.origin} and {new.origin} are different trees; give two checkpoints of one")
    if old.size > new.size:
        raise ProofRefused(f"the first checkpoint ({old.size}) is larger than the second ({new.size})")
    nodes = NodeFile(files.nodes_path(new.tree))
    try:
        proof = consistency_proof(old.size, new.size, nodes)
    finally:
        nodes.close()
    if not is_consistent(old.size, new.size, proof, old.root, new.root):
        raise ProofRefused(
            f"{new.tree}: the checkpoint of {old.size} is not the beginning of that of {new.size}, or {nodes.path} is damaged; "
            "`memfold audit verify` says which"
        )
    hashes = [b64encode(part).decode() for part in proof]
    return {"proof": "consistency", "hashes": hashes, "first": first, "second": second}


def check_proof(proof: Json, verifier: Verifier) -> str:
    """What a proof shows, in a sentence. Needs no file and no network. Raises ProofRefused, NoteRefused."""
    try:
        hashes = [hash_of(part) for part in proof["hashes"]]
        if proof["proof"] == "consistency":
            old, new = (Checkpoint.parse(open_note(proof[name], verifier)) for name in ("first", "second"))
            shown = old.origin == new.origin and is_consistent(old.size, new.size, hashes, old.root, new.root)
            said = f"the first {old.size} records of {new.origin} are unchanged in its first {new.size}"
        else:
            new, offset = Checkpoint.parse(open_note(proof["checkpoint"], verifier)), int(proof["offset"])
            shown = is_included(hash_of(proof["leaf_hash"]), offset, new.size, hashes, new.root)
            said = f"the record with leaf hash {proof['leaf_hash']} is number {offset} of {new.origin}, which has {new.size}"
    except (KeyError, TypeError, AttributeError) as missing:
        raise ProofRefused(f"not a proof of memfold: {missing!r}") from None
    if not shown:
        raise ProofRefused(f"the proof does not show that {said}")
    return said
