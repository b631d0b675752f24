"""The sealer over a real archive: what it signs, what it refuses to sign, and what a crash or a second sealer changes."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from memfold.audit.checkpoints import Checkpoint, TreeName
from memfold.audit.merkle import is_consistent, nodes_of, root_of
from memfold.audit.notes import open_note
from memfold.audit.seal_errors import SealerRunning, SealKeyReplaced, SealRefused
from memfold.audit.seal_files import SealFiles
from memfold.audit.seal_key import seal_verifier
from memfold.audit.sealing import Sealer
from memfold.projections import archive
from memfold.projections.archive import ArchiveShard
from memfold.projections.archive_files import read_segment, write_segment
from memfold.projections.archive_rows import leaf_hash, table_of
from memfold.projections.archive_segments import read_covers
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import LogRecord

TREE = TreeName(EVENTS, 0)


def log(count: int, seed: int = 1) -> list[LogRecord]:
    random = Random(seed)
    return [LogRecord(EVENTS, 0, n, 9_000 + n, b"", random.randbytes(40)) for n in range(count)]


def archived(root: Path, records: list[LogRecord]) -> None:
    with closing(ArchiveShard(root, EVENTS, 0)) as shard:
        shard.append(records)


def sealed(home: Path) -> int:
    with closing(Sealer(home / "archive", home / "seals", 1)) as sealer:
        return sealer.seal()


def checkpoints(home: Path) -> list[Checkpoint]:
    verifier = seal_verifier(home / "seals")
    return [
        Checkpoint.parse(open_note(seal.note, verifier)) for seal in SealFiles(home / "seals").seals(TREE)
    ]


def test_every_seal_continues_the_one_before(tmp_path: Path) -> None:
    records, sizes = log(300), [0, 1, 2, 7, 8, 100, 101, 300]
    with closing(Sealer(tmp_path / "archive", tmp_path / "seals", 1)) as sealer:
        for before, size in zip([0, *sizes], sizes, strict=False):
            archived(tmp_path / "archive", records[:size])
            assert sealer.news() == (size > before)
            assert sealer.seal() == size - before
            assert not sealer.news()
            assert sealer.seal() == 0
    nodes = nodes_of([leaf_hash(record.value) for record in records])
    found = checkpoints(tmp_path)
    assert [(one.size, one.root) for one in found] == [(size, root_of(size, nodes)) for size in sizes]
    for seal, old, new in zip(
        SealFiles(tmp_path / "seals").seals(TREE)[1:], found[:-1], found[1:], strict=True
    ):
        assert seal.old == old.size
        assert is_consistent(old.size, new.size, seal.proof, old.root, new.root)


def test_it_goes_on_after_a_restart_whatever_became_of_the_nodes(tmp_path: Path) -> None:
    records = log(200)
    nodes = SealFiles(tmp_path / "seals").nodes_path(TREE)
    for size, left in ((60, None), (130, 0), (131, 100), (200, None)):
        archived(tmp_path / "archive", records[:size])
        sealed(tmp_path)
        if left is not None:
            os.truncate(nodes, left)
    expected = nodes_of([leaf_hash(record.value) for record in records])
    assert [one.root for one in checkpoints(tmp_path)] == [
        root_of(size, expected) for size in (60, 130, 131, 200)
    ]


def test_the_heads_hold_every_tree(tmp_path: Path) -> None:
    archived(tmp_path / "archive", log(9))
    with closing(Sealer(tmp_path / "archive", tmp_path / "seals", 3, clock=lambda: 1_234)) as sealer:
        sealer.seal()
        sealer.seal()
        heads = sealer.files.newest_heads(sealer.signer.verifier())
    assert heads is not None
    assert heads.time == 1_234
    assert [head.size for head in heads.heads] == [0, 0, 0, 9, 0, 0, 0, 0, 0]
    assert len(SealFiles(tmp_path / "seals").heads()) == 1


def test_it_refuses_a_changed_archive(tmp_path: Path) -> None:
    archived(tmp_path / "archive", log(50))
    sealed(tmp_path)
    (segment,) = read_covers(tmp_path / "archive", EVENTS)[0]
    changed = log(50)
    changed[20] = LogRecord(EVENTS, 0, 20, 9_020, b"", b"another")
    write_segment(segment, table_of(changed))
    with pytest.raises(SealRefused, match="the 50 records that were sealed have another root"):
        sealed(tmp_path)
    assert len(checkpoints(tmp_path)) == 1


def test_it_refuses_a_shorter_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "SMALL_ROWS", 1)
    archived(tmp_path / "archive", log(50))
    archived(tmp_path / "archive", log(80))
    sealed(tmp_path)
    read_covers(tmp_path / "archive", EVENTS)[0][1].path.unlink()
    with pytest.raises(SealRefused, match="80 records were sealed, but only 50 are archived"):
        sealed(tmp_path)


def test_it_refuses_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "SMALL_ROWS", 1)
    archived(tmp_path / "archive", log(50))
    archived(tmp_path / "archive", log(80))
    with closing(Sealer(tmp_path / "archive", tmp_path / "seals", 1)) as sealer:
        sealer.seal()
        read_covers(tmp_path / "archive", EVENTS)[0][1].path.unlink()
        with pytest.raises(SealRefused, match="only 50 are archived any more"):
            sealer.seal()


def test_a_second_sealer_is_kept_out(tmp_path: Path) -> None:
    with closing(Sealer(tmp_path / "archive", tmp_path / "seals", 1)), pytest.raises(SealerRunning):
        Sealer(tmp_path / "archive", tmp_path / "seals", 1)
    sealed(tmp_path)


def test_the_key_is_private_and_a_replaced_one_is_noticed(tmp_path: Path) -> None:
    archived(tmp_path / "archive", log(5))
    sealed(tmp_path)
    folder = tmp_path / "seals"
    assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o600
    key = (folder / "key").read_text()
    other = tmp_path / "other"
    sealed(other)
    (folder / "key").write_text((other / "seals" / "key").read_text())
    with pytest.raises(SealKeyReplaced, match="begun with memfold/"):
        sealed(tmp_path)
    (folder / "vkey").write_text((other / "seals" / "vkey").read_text())
    with pytest.raises(SealKeyReplaced, match="not of this key"):
        sealed(tmp_path)
    (folder / "key").unlink()
    with pytest.raises(SealKeyReplaced, match="is gone"):
        sealed(tmp_path)
    (folder / "vkey").unlink()
    (folder / "key").write_text(key)
    sealed(tmp_path)


_SEAL_FOR_EVER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from memfold.audit.sealing import Sealer
from memfold.projections.archive import ArchiveShard
from memfold.schemas.partitions import EVENTS
from tests.audit.test_sealing import log
home = Path(sys.argv[1])
sealer, shard = Sealer(home / "archive", home / "seals", 1), ArchiveShard(home / "archive", EVENTS, 0)
records = log(20_000)
while shard.position() < 19_990:
    start = shard.position() + 1
    shard.append(records[start : start + 7])
    sealer.seal()
    print("sealed", flush=True)
"""


def test_killed_sealers_leave_one_consistent_history(tmp_path: Path) -> None:
    random = Random(5)
    for _ in range(8):
        argv = [sys.executable, "-c", _SEAL_FOR_EVER, str(tmp_path), str(Path(__file__).parents[2])]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(random.randrange(1, 12)):
                assert process.stdout.readline() == b"sealed\n"
            time.sleep(random.random() / 100)  # anywhere inside the next round
            process.send_signal(signal.SIGKILL)
    sealed(tmp_path)
    found = checkpoints(tmp_path)
    nodes = nodes_of([leaf_hash(record.value) for record in log(20_000)])
    assert len(found) >= 16
    assert [one.root for one in found] == [root_of(one.size, nodes) for one in found]
    assert [one.size for one in found] == sorted({one.size for one in found})


def test_a_torn_seal_is_removed(tmp_path: Path) -> None:
    archived(tmp_path / "archive", log(50))
    sealed(tmp_path)
    path = SealFiles(tmp_path / "seals").seals_path(TREE)
    whole = path.read_text()
    for cut in range(1, len(whole), 17):
        path.write_text(whole + whole[:cut])
        sealed(tmp_path)
        assert path.read_text() == whole


def test_a_value_beside_its_leaf_hash_is_not_sealed(tmp_path: Path) -> None:
    archived(tmp_path / "archive", log(50))
    (segment,) = read_covers(tmp_path / "archive", EVENTS)[0]
    table, changed = read_segment(segment), log(50)
    changed[3] = LogRecord(EVENTS, 0, 3, 9_003, b"", b"x")
    write_segment(
        segment, table_of(changed).set_column(16, "leaf_hash", table.column("leaf_hash")).cast(table.schema)
    )
    with pytest.raises(Exception, match="the value at offset 3 is not the one that was archived"):
        sealed(tmp_path)
