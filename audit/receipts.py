"""Receipts: the log's signature under "this event is at this place", given before the event is sealed.

If the tree that is sealed later has another leaf at that place, receipt and checkpoint together are evidence against the log.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from memfold.audit.checkpoints import TreeName, hash_of, number
from memfold.audit.findings import Report
from memfold.audit.notes import Signer, Verifier, open_note
from memfold.audit.seal_errors import NoteRefused
from memfold.audit.verifying import Log
from memfold.projections.archive_rows import leaf_hash
from memfold.projections.archive_source import ArchiveSource


@dataclass(frozen=True, slots=True)
class SignedReceipt:
    """`leaf` is the Merkle leaf of the record's exact bytes. `time`, in milliseconds since 1970, is the broker's; of a receipt that
    a write gave at once, the signer's.
    """

    record_id: str
    tree: TreeName
    offset: int
    leaf: bytes
    time: int

    def note(self, signer: Signer) -> str:
        return signer.sign(
            f"{signer.name}/receipt\nrecord {self.record_id}\nplace {self.tree} {self.offset}\n"
            f"leaf {b64encode(self.leaf).decode()}\ntime {self.time}\n"
        )

    @classmethod
    def parse(cls, note: str, verifier: Verifier) -> SignedReceipt:
        """A receipt whose signature verifies. Raises NoteRefused."""
        lines = open_note(note, verifier).split("\n")[:-1]
        fields = dict(line.split(" ", 1) for line in lines[1:] if " " in line)
        if lines[0] != f"{verifier.name}/receipt" or set(fields) != {"record", "place", "leaf", "time"}:
            raise NoteRefused(f"not a receipt of {verifier.name}: it begins with {lines[0]!r}")
        tree, _, offset = fields["place"].rpartition(" ")
        return cls(
            fields["record"], TreeName.parse(tree), number(offset, "offset"), hash_of(fields["leaf"]),
            number(fields["time"], "time"),
        )  # fmt: skip


def check_receipt(receipt: SignedReceipt, archive: Path, log: Log | None, report: Report) -> None:
    """Whether the record is where the receipt says, archived or in the log; what is not is added to the report. Raises ShardDamaged."""
    tree, offset = receipt.tree, receipt.offset
    source = ArchiveSource(archive)
    found = None
    if source.position(tree.topic, tree.partition) >= offset:
        ((record,),) = source.batches(tree.topic, tree.partition, offset, offset)
        found = leaf_hash(record.value)
    elif log is not None and log.bounds(tree.topic, tree.partition)[1] > offset:
        ((record,),) = log.read(tree.topic, tree.partition, offset, offset + 1)
        found = leaf_hash(record.value)
    if found != receipt.leaf:
        there = "nothing" if found is None else "another record"
        report.add(
            "receipt", f"a signed receipt says that {receipt.record_id} is {tree} offset {offset}, but there is {there}: "
            "keep the receipt, it is evidence", tree, offset=offset, last=offset,
        )  # fmt: skip
