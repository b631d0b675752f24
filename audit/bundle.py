"""Evidence bundles: the records of one person in a window, with all that a stranger needs to check them without us.

What is in decoded.json and report.html is made by the verifier's own code, which makes both again and compares.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from memfold.audit.bounds import Bounds
from memfold.audit.bundle_checkpoints import Chosen, chosen, proofs_of
from memfold.audit.bundle_records import Genuine, genuine_of, records_of
from memfold.audit.bundle_verifier import released_schemas, verifier_source
from memfold.audit.checkpoints import TreeName
from memfold.audit.full_log import FullLog
from memfold.audit.notes import Signer
from memfold.audit.seal_errors import ProofRefused
from memfold.audit.seal_files import SealFiles
from memfold.memory.errors import InvalidInput
from memfold.schemas.records import LogRecord
from memfold.schemas.registry import with_fingerprint
from memfold.verifier import layout
from memfold.verifier.checking import told_of
from memfold.verifier.page import page_of
from memfold.verifier.plain_zip import zip_of
from memfold.verifier.records import schemas_of
from memfold.verifier.refusing import Refused

Window = tuple[str | None, str | None]
"""From and to, as they are told."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a person goes in: bodies with the key that opens them, who read them; `said`: the window as it is to be told."""

    opened: bool = True
    reads: bool = True
    said: Window = (None, None)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle's bytes, and what is in it. `left_out`: records that name the subject and are not genuine."""

    data: bytes
    records: int
    left_out: list[dict[str, Any]]
    opened: bool


@dataclass(frozen=True, slots=True)
class Bundling:
    """Makes bundles of one log. `witnessed`: notes of checkpoints that witnesses have countersigned; `clock`: seconds since 1970."""

    log: FullLog
    seals: SealFiles
    signer: Signer
    witnessed: Sequence[str] = ()
    clock: Callable[[], float] = time.time

    def bundle(self, bounds: Bounds, selection: Selection) -> Bundle:
        """The bundle of `bounds.scope.user_id`.

        Raises InvalidInput where there is nothing, TooMuchToOpen, ProofRefused where something is not sealed, NoteRefused,
        KeyDestroyed where it shall be opened and cannot be.
        """
        opened, (start, end) = selection.opened, selection.said
        records, left_out = genuine_of(records_of(self.log, bounds, selection.reads), self.log.keys, opened)
        if not records:
            raise InvalidInput(
                f"the log has no record of the user {bounds.scope.user_id!r} in this window; a bundle of nothing proves nothing"
            )
        about = {
            "format": layout.FORMAT, "log": self.signer.name, "tenant": bounds.tenant, "subject": bounds.subject,
            "user": bounds.scope.user_id, "from": start, "to": end, "opened": opened,
            "reads": selection.reads, "left_out": left_out,
        }  # fmt: skip
        evidence, checkpoints, proofs = self._evidence(records, opened)
        try:
            files = _told(evidence, checkpoints, proofs, about)
        except Refused as refused:
            raise ProofRefused(
                f"a bundle of this would not hold: {refused}. `memfold audit verify` says more"
            ) from refused
        return Bundle(self._signed(files, about), len(records), left_out, opened)

    def _evidence(
        self, records: Genuine, opened: bool
    ) -> tuple[dict[str, bytes], dict[TreeName, Chosen], list[dict[str, Any]]]:
        """The files that are not made of others, the checkpoint of each tree, and the records' proofs."""
        trees: dict[TreeName, list[LogRecord]] = {}
        for record, _ in records:
            trees.setdefault(TreeName(record.topic, record.partition), []).append(record)
        heads = self.seals.heads()
        verifier = self.signer.verifier()
        checkpoints = {
            tree: chosen(self.seals, verifier, tree, held[-1].offset, self.witnessed)
            for tree, held in sorted(trees.items())
        }
        files = {layout.KEY: f"{verifier}\n".encode(), layout.HEADS: heads[-1].encode(), **_schemas(records)}
        if opened:
            keys = {envelope.key_id: self.log.keys.key(envelope.key_id).hex() for _, envelope in records}
            files[layout.SUBJECT_KEYS] = layout.json_bytes(keys)
        for tree, one in checkpoints.items():
            files[layout.checkpoint_file(tree.topic, tree.partition)] = one.note.encode()
        for record, _ in records:
            files[layout.record_file(record.topic, record.partition, record.offset)] = record.value
        proofs = [
            proof
            for tree, one in checkpoints.items()
            for proof in proofs_of(self.seals, tree, one, trees[tree])
        ]
        return files, checkpoints, proofs

    def _signed(self, files: Mapping[str, bytes], about: Mapping[str, Any]) -> bytes:
        """The ZIP: the verifier first, then the manifest and its signature, then everything that it lists."""
        listed = {layout.VERIFIER: verifier_source().encode(), **files}
        digests = {name: sha256(data).hexdigest() for name, data in listed.items()}
        manifest = layout.json_bytes({**about, "files": digests})
        body = layout.note_body(self.signer.name, sha256(manifest).hexdigest(), int(self.clock() * 1000))
        note = self.signer.sign(body).encode()
        first = {layout.VERIFIER: listed[layout.VERIFIER], layout.MANIFEST: manifest, layout.NOTE: note}
        return zip_of({**first, **files})


def _schemas(records: Genuine) -> dict[str, bytes]:
    """The schemas that wrote the records: their envelopes' and their bodies'."""
    fingerprints = {envelope.body_schema for _, envelope in records} | {
        record.value[2:10] for record, _ in records
    }
    schemas = sorted((with_fingerprint(one) for one in fingerprints), key=lambda one: (one.name, one.version))
    return {f"{layout.SCHEMAS}{one.name}.v{one.version}.avsc": one.text.encode() for one in schemas}


def _told(
    evidence: Mapping[str, bytes],
    checkpoints: Mapping[TreeName, Chosen],
    proofs: Sequence[Mapping[str, Any]],
    about: Mapping[str, Any],
) -> dict[str, bytes]:
    """The evidence with its proofs and what follows from it: decoded.json and report.html. Raises Refused."""
    schemas = schemas_of(
        {name: data for name, data in evidence.items() if name.startswith(layout.SCHEMAS)}, released_schemas()
    )
    places = [(proof["topic"], proof["partition"], proof["offset"]) for proof in proofs]
    told = told_of(evidence, places, about, schemas)
    heads = [(str(tree), one.size, b64encode(one.root).decode()) for tree, one in checkpoints.items()]
    page = page_of(about, heads, told).encode()
    derived = {
        layout.PROOFS: layout.json_bytes(proofs),
        layout.DECODED: layout.json_bytes(told),
        layout.PAGE: page,
    }
    return {**evidence, **derived}
