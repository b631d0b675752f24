"""A witness over real seals: it follows growth, keeps what it signed, and refuses a history that was rewritten."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from memfold.audit.checkpoints import Checkpoint, Seal, TreeName
from memfold.audit.notes import COSIGNATURE, open_note, split_note
from memfold.audit.seal_errors import NoteRefused, ProofRefused
from memfold.audit.seal_files import SealFiles
from memfold.audit.seal_key import seal_key, signing_key
from memfold.audit.sealing import Sealer
from memfold.audit.witness import Witness
from memfold.projections.archive import ArchiveShard
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import LogRecord

TREE = TreeName(EVENTS, 0)
SIZES = (3, 20, 21, 64)


def sealed(home: Path, sizes: tuple[int, ...], word: bytes = b"record") -> list[Seal]:
    for size in sizes:
        with closing(ArchiveShard(home / "archive", EVENTS, 0)) as shard:
            shard.append([LogRecord(EVENTS, 0, n, n, b"", b"%s %d" % (word, n)) for n in range(size)])
        with closing(Sealer(home / "archive", home / "seals", 1)) as sealer:
            sealer.seal()
    return SealFiles(home / "seals").seals(TREE)


def witness(home: Path) -> Witness:
    state = home / "witness"
    return Witness(
        state, seal_key(home / "seals").verifier(), signing_key(state / "key", "w/1"), lambda: 1_700_000_000.9
    )


def rewritten(home: Path, sizes: tuple[int, ...]) -> list[Seal]:
    """Another history under the same key."""
    for path in [*(home / "seals").glob("*-*"), home / "seals" / "heads.notes"]:
        path.unlink()
    shutil.rmtree(home / "archive")
    return sealed(home, sizes, b"another")


def test_it_countersigns_growth_and_remembers_it(tmp_path: Path) -> None:
    seals = sealed(tmp_path, SIZES)
    assert [one.size for one in witness(tmp_path).take(seals[:2])] == [3, 20]
    assert [one.size for one in witness(tmp_path).take(seals)] == [21, 64]
    assert witness(tmp_path).take(seals) == []
    note = witness(tmp_path).path(TREE).read_text()
    signer = signing_key(tmp_path / "witness" / "key", "w/1")
    log = seal_key(tmp_path / "seals").verifier()
    assert Checkpoint.parse(open_note(note, log)) == Checkpoint.parse(
        open_note(note, signer.verifier(COSIGNATURE))
    )
    text, lines = split_note(note)
    assert signer.verifier(COSIGNATURE).signed_at(text, lines[-1][2]) == 1_700_000_000


@pytest.mark.parametrize("sizes", [(20,), (10, 64), (20, 64), (64,), (3, 20, 64), (100,)])
def test_a_rewritten_history_is_refused(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    witness(tmp_path).take(sealed(tmp_path, (3, 20)))
    kept = witness(tmp_path).path(TREE).read_bytes()
    with pytest.raises(ProofRefused):
        witness(tmp_path).take(rewritten(tmp_path, sizes))
    assert witness(tmp_path).path(TREE).read_bytes() == kept


def test_seals_between_that_are_missing(tmp_path: Path) -> None:
    seals = sealed(tmp_path, SIZES)
    witness(tmp_path).take(seals[:1])
    with pytest.raises(ProofRefused, match="the seals between are missing"):
        witness(tmp_path).take(seals[2:])
    assert [one.size for one in witness(tmp_path).take(seals[1:])] == [20, 21, 64]


def test_a_seal_of_another_key_or_a_damaged_state(tmp_path: Path) -> None:
    seals = sealed(tmp_path, SIZES)
    others = sealed(tmp_path / "other", (3,))
    with pytest.raises(NoteRefused):
        witness(tmp_path).take(others)
    assert witness(tmp_path).seen(TREE) is None
    witness(tmp_path).take(seals[:2])
    path = witness(tmp_path).path(TREE)
    path.write_text(seals[0].note)
    with pytest.raises(NoteRefused, match="not by w/1"):
        witness(tmp_path).take(seals)
