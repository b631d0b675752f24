"""Signed notes: the published examples, every part that can be damaged, and notes that are none."""

from __future__ import annotations

from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from memfold.audit.checkpoints import Checkpoint, Heads, Seal, split_notes
from memfold.audit.notes import COSIGNATURE, Signer, Verifier, open_note, split_note
from memfold.audit.seal_errors import NoteRefused

# golang.org/x/mod/sumdb/note, example in its documentation.
PETER = Verifier.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
PETER_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
SIGNER = Signer("memfold/0123", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
WITNESS = Signer("witness.example/1", Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
CHECKPOINT = Checkpoint("memfold/0123/memfold.events/2", 120, bytes(range(32)))


def test_the_published_note() -> None:
    assert open_note(PETER_NOTE, PETER).startswith("If you think")
    assert str(PETER) == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    with pytest.raises(NoteRefused, match="does not fit the note's text"):
        open_note(PETER_NOTE.replace("answer", "Answer"), PETER)


def test_a_checkpoint_has_the_form_of_c2sp() -> None:
    note = SIGNER.sign(CHECKPOINT.text())
    lines = note.split("\n")
    assert lines[:4] == [
        "memfold/0123/memfold.events/2",
        "120",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "",
    ]
    assert lines[4].startswith("— memfold/0123 ")
    assert lines[5:] == [""]
    assert Checkpoint.parse(open_note(note, SIGNER.verifier())) == CHECKPOINT
    assert (CHECKPOINT.tree.topic, CHECKPOINT.tree.partition) == ("memfold.events", 2)


def test_a_cosignature_stands_beside_the_signature() -> None:
    note = WITNESS.cosign(SIGNER.sign(CHECKPOINT.text()), 1_700_000_000)
    again = WITNESS.cosign(note, 1_800_000_000)
    verifier = WITNESS.verifier(COSIGNATURE)
    for each, time in ((note, 1_700_000_000), (again, 1_800_000_000)):
        text, lines = split_note(each)
        assert open_note(each, SIGNER.verifier()) == open_note(each, verifier) == text
        assert [name for name, _, _ in lines] == ["memfold/0123", "witness.example/1"]
        assert verifier.signed_at(text, lines[1][2]) == time
    # The time is signed too.
    text, lines = split_note(note)
    assert verifier.signed_at(text, (5).to_bytes(8) + lines[1][2][8:]) is None
    with pytest.raises(NoteRefused, match="not by"):
        open_note(note, WITNESS.verifier())


def test_no_byte_of_a_note_can_be_changed() -> None:
    note = SIGNER.sign(CHECKPOINT.text()).encode()
    for place in range(len(note)):
        for change in (1, 32, 128):
            damaged = bytearray(note)
            damaged[place] ^= change
            with pytest.raises(NoteRefused):
                open_note(damaged.decode(errors="replace"), SIGNER.verifier())


def test_a_signature_has_one_encoding_only() -> None:
    """Base64 has bits to spare at its end; a note that uses them would be another file with the same meaning."""
    note = SIGNER.sign(CHECKPOINT.text())
    assert note.endswith("=\n")
    last = note[-3]
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/":
        if other != last:
            with pytest.raises(NoteRefused):
                open_note(f"{note[:-3]}{other}=\n", SIGNER.verifier())


@pytest.mark.parametrize(
    "note",
    ["", "\n", "text\n", "text\n\n", "text\n\nno signature\n", "text\n\n— name\n", "text\n\n— name AAAA\n", "text\n\n— na+me AAAAAAAA\n"],
)  # fmt: skip
def test_what_is_no_note(note: str) -> None:
    with pytest.raises(NoteRefused):
        open_note(note, SIGNER.verifier())


@pytest.mark.parametrize("text", ["a\n", "a\n1\n", "a\n01\nx\n", "a\n-1\nx\n", "a\n1\nAAAA\n", "a\n\n1\n"])
def test_what_is_no_checkpoint(text: str) -> None:
    with pytest.raises(NoteRefused):
        Checkpoint.parse(text)


def test_heads_and_seals_are_read_as_they_were_written() -> None:
    heads = Heads("memfold/0123", 1_764_087_000_123, [CHECKPOINT])
    assert Heads.parse(heads.text()) == heads
    note = SIGNER.sign(CHECKPOINT.text())
    for proof in ([], [bytes(32), bytes(range(32))]):
        assert Seal.parse(Seal(7, proof, note).text()) == Seal(7, proof, note)
    for wrong in ("old x\n\n", "new 1\n\nnote", "old 1\nAAAA\n\nnote", "old 1"):
        with pytest.raises(NoteRefused):
            Seal.parse(wrong)


def test_notes_one_behind_the_other_and_a_torn_end() -> None:
    notes = [
        Seal(size, [bytes(32)] * (size % 3), SIGNER.sign(Checkpoint("o/t/0", size, bytes(32)).text())).text()
        for size in range(5)
    ]
    assert split_notes("".join(notes)) == (notes, "")
    random = Random(3)
    for _ in range(50):
        cut = random.randrange(1, len(notes[4]))
        assert split_notes("".join(notes[:4]) + notes[4][:cut]) == (notes[:4], notes[4][:cut])


@pytest.mark.parametrize(
    "vkey", ["", "a", "a+b", "a+00000000+AQ==", str(PETER).replace("c74f", "c74e"), f"{PETER}A"]
)
def test_what_is_no_verifier_key(vkey: str) -> None:
    with pytest.raises(NoteRefused):
        Verifier.parse(vkey)
