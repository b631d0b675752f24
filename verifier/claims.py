"""What a bundle that holds shows, and what it does not: said by the verifier and on the page."""

from __future__ import annotations

COVERED = [
    "every byte of the ZIP: one that is changed, added or missing is refused",
    "each record stood at its topic, partition and offset when the checkpoint was signed, with exactly these bytes",
    "checkpoints, heads and this selection are signed by the log's key",
    "every schema is the one that memfold released under its fingerprint",
]
COVERED_OPENED = [
    "each body is what its bytes decrypt to, under the key in the bundle and with its own envelope",
    "decoded.json and report.html say what is in those bytes, and nothing else: both are made anew and compared",
    "each event that names a command of the bundle by its offset answers that command",
]
COVERED_SEALED = [
    "decoded.json and report.html say what is in the records' clear envelopes: both are made anew and compared",
    "an event names the command that stands at its command's offset, where that is in the bundle",
]
NOT_COVERED = [
    "that nothing was left out: other records of the person may exist, also of other subjects that clear a whole tenant",
    "the dates of the window: they are the broker's, which no seal covers; the times on the page are the writer's own clock's",
    "that the random id of the subject is this person: the key store of the operator says so, and the bodies where they name the user",
    "that nobody read these memories past memfold: reads are recorded by who answers them, while audit.reads is on",
    "that what was said is true, or that a model understood it",
    "that the operator shows everybody the same log: for that, compare a checkpoint with a witness's, or with one that you kept",
    "that this verify.py is honest: take it from a release of memfold (memfold audit verifier), or read it",
]
NOT_COVERED_OPENED = [
    "a record that was made, when it was written, to open under two keys (AES-GCM does not commit to its key)",
]
NOT_COVERED_SEALED = [
    "what the encrypted bodies say, and that they are genuine: nothing was opened",
]
UNTRUSTED_KEY = (
    "SIGNATURES WERE CHECKED ONLY AGAINST THE KEY INSIDE THE BUNDLE: whoever made the bundle could have made that key. "
    "Get the log's key from its operator or a witness, and give it with --key"
)


def covered(opened: bool) -> list[str]:
    return COVERED + (COVERED_OPENED if opened else COVERED_SEALED)


def not_covered(opened: bool) -> list[str]:
    return NOT_COVERED + (NOT_COVERED_OPENED if opened else NOT_COVERED_SEALED)
