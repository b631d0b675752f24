"""Each damage is done to real files, and the verification names it: the kind, the file, the offset, the memories."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from msgspec.structs import replace

from memfold.audit.checkpoints import TreeName
from memfold.audit.findings import Finding
from memfold.audit.seal_files import SealFiles
from memfold.audit.sealing import Sealer
from memfold.projections import archive
from memfold.projections.archive_rows import table_of
from memfold.schemas import codec
from memfold.schemas.codec import decode_envelope
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import COMMANDS, EVENTS, key_of
from memfold.schemas.records import LogRecord
from memfold.schemas.registry import newest
from tests.audit.evidence import (
    MILLISECONDS,
    Deployment,
    command,
    event,
    memory_id,
    with_column,
    with_record,
)

TREE = TreeName(EVENTS, 0)
NEWER = {"envelope": newest("envelope").fingerprint, "memories_decided": b"\1" * 8}


@pytest.fixture
def deployment(tmp_path: Path, keys: KeyStore, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """60 events in three segments, 0-19, 20-39, 40-59."""
    monkeypatch.setattr(archive, "SMALL_ROWS", 1)
    return Deployment.of(tmp_path, keys)


def found(findings: list[Finding], kind: str) -> Finding:
    """The first of a kind."""
    return next(one for one in findings if one.kind == kind)


def test_nothing_is_found_where_nothing_is_wrong(deployment: Deployment) -> None:
    report = deployment.verify()
    assert (report.ok, report.findings) == (True, [])
    counts = report.counts
    assert (counts.records, counts.archived, counts.sealed, counts.unsealed, counts.opened) == (
        120,
        120,
        120,
        0,
        120,
    )
    assert report.key == str(deployment.verifier)


def test_what_is_not_sealed_yet_is_counted(deployment: Deployment) -> None:
    more = [event(deployment.keys, n) for n in range(60, 65)]
    deployment.archive([*deployment.commands, *(command(deployment.keys, n) for n in range(60, 65))])
    deployment.archive([*deployment.events, *more])
    report = deployment.verify()
    assert report.ok
    assert (report.counts.sealed, report.counts.unsealed) == (120, 10)


def test_erased_subjects_are_counted_and_do_not_fail(deployment: Deployment) -> None:
    deployment.keys.destroy(deployment.keys.subject_of("acme", "user", "user-1"))
    report = deployment.verify()
    assert report.ok
    assert (report.counts.erased, report.counts.opened) == (40, 80)


def test_without_keys_the_rest_is_checked(deployment: Deployment) -> None:
    report = deployment.verify(keys=False)
    assert report.ok
    assert report.counts.opened == 0


def test_one_bit_in_a_parquet_value(deployment: Deployment) -> None:
    segment = deployment.segments()[1]
    data = bytearray(segment.path.read_bytes())
    column = pq.ParquetFile(segment.path).metadata.row_group(0).column(5)
    assert column.path_in_schema == "value"
    data[column.data_page_offset + column.total_compressed_size // 2] ^= 4
    segment.path.write_bytes(data)
    report = deployment.verify()
    bad = found(report.findings, "file")
    assert bad.file == str(segment.path)
    assert (bad.topic, bad.partition, bad.offset, bad.last) == (EVENTS, 0, 20, 39)


def test_one_bit_in_a_value_with_a_fitting_page_checksum(deployment: Deployment) -> None:
    table = deployment.table(1)
    values = table.column("value").to_pylist()
    values[7] = values[7][:-1] + bytes([values[7][-1] ^ 1])
    path = deployment.rewrite(1, with_column(table, "value", values))
    report = deployment.verify()
    bad = found(report.findings, "value")
    assert (bad.file, bad.offset, bad.last, bad.memory_ids) == (str(path), 27, 27, [memory_id(27)])
    assert found(report.findings, "forged").offset == 27


def test_a_changed_value_with_a_fitting_leaf_hash(deployment: Deployment) -> None:
    """Only the seals know."""
    other = replace(event(deployment.keys, 27), timestamp_ms=MILLISECONDS + 27)
    path = deployment.rewrite(1, with_record(deployment.table(1), 7, other))
    bad = found(deployment.verify().findings, "root")
    assert (bad.file, bad.offset, bad.last) == (str(path), 20, 39)
    assert memory_id(27) in bad.memory_ids
    assert "a record from offset 20 to 39 was changed" in bad.said


def test_columns_that_are_not_those_of_the_value(deployment: Deployment) -> None:
    """Queries filter by them: an event could be hidden from its own subject."""
    tenants = deployment.table(0).column("tenant").to_pylist()
    path = deployment.rewrite(
        0, with_column(deployment.table(0), "tenant", [*tenants[:4], "other", *tenants[5:]])
    )
    (bad,) = deployment.verify().findings
    assert (bad.kind, bad.file, bad.offset) == ("columns", str(path), 4)


def test_a_row_dropped(deployment: Deployment) -> None:
    path = deployment.rewrite(1, deployment.table(1).take([*range(5), *range(6, 20)]))
    bad = found(deployment.verify().findings, "file")
    assert (bad.file, bad.offset) == (str(path), 20)
    assert "does not hold the offsets from 20 on" in bad.said


def test_a_row_dropped_and_the_rest_moved_up(deployment: Deployment) -> None:
    """With the last segment one shorter and renamed: only the seals know how many there were."""
    last = deployment.segments()[2]
    kept = [record for record in deployment.events[40:] if record.offset != 50]
    moved = [replace(record, offset=40 + n) for n, record in enumerate(kept)]
    last.path.unlink()
    deployment.archive([*deployment.events[:40], *moved])
    bad = found(deployment.verify().findings, "root")
    assert (bad.offset, bad.last) == (59, 59)
    assert "there are only 59" in bad.said


def test_two_rows_swapped(deployment: Deployment) -> None:
    path = deployment.rewrite(1, deployment.table(1).take([0, 2, 1, *range(3, 20)]))
    assert found(deployment.verify().findings, "file").file == str(path)
    swapped = [
        replace(deployment.events[at], offset=20 + n) for n, at in enumerate([20, 22, 21, *range(23, 40)])
    ]
    path = deployment.rewrite(1, table_of(swapped))
    bad = found(deployment.verify().findings, "root")
    assert (bad.file, bad.offset, bad.last) == (str(path), 20, 39)


@pytest.mark.parametrize(
    ("number", "kind", "first", "last"), [(0, "file", 0, 19), (1, "file", 20, 39), (2, "root", 40, 59)]
)
def test_a_segment_removed(deployment: Deployment, number: int, kind: str, first: int, last: int) -> None:
    deployment.segments()[number].path.unlink()
    bad = found(deployment.verify().findings, kind)
    assert (bad.topic, bad.offset, bad.last) == (EVENTS, first, last)


def test_a_truncated_file(deployment: Deployment) -> None:
    path = deployment.segments()[2].path
    for length in (0, 100, path.stat().st_size - 1):
        path.write_bytes(path.read_bytes()[:length])
        bad = found(deployment.verify().findings, "file")
        assert (bad.file, bad.offset, bad.last) == (str(path), 40, 59)


def _no_key(deployment: Deployment, genuine: LogRecord) -> LogRecord:
    """By a producer that knows the form, the subject and the key id, and not the key."""
    return replace(genuine, value=genuine.value[:-20] + bytes(20))


def _copied(deployment: Deployment, genuine: LogRecord) -> LogRecord:
    return replace(genuine, key=key_of("acme", deployment.keys.subject_of("acme", "user", "user-2")))


def _envelope_of_another(deployment: Deployment, genuine: LogRecord) -> LogRecord:
    subject = decode_envelope(genuine.value)[0].subject
    other = deployment.keys.subject_of("acme", "user", "user-2")
    return replace(
        genuine, key=key_of("acme", other), value=genuine.value.replace(subject.encode(), other.encode())
    )


def _rubbish(deployment: Deployment, genuine: LogRecord) -> LogRecord:
    return replace(genuine, value=b"not a record")


@pytest.mark.parametrize("forge", [_no_key, _copied, _envelope_of_another, _rubbish])
def test_a_forged_or_copied_event(
    deployment: Deployment, forge: Callable[[Deployment, LogRecord], LogRecord]
) -> None:
    """On the topic, and so in the archive and under the seal: genuine bytes of the log, not of memfold."""
    forged = replace(forge(deployment, deployment.events[3]), offset=60, timestamp_ms=MILLISECONDS + 60)
    deployment.archive([*deployment.events, forged])
    deployment.seal()
    bad = found(deployment.verify().findings, "forged")
    assert (bad.offset, bad.file) == (60, str(deployment.segments()[-1].path))


def test_a_command_on_the_topic_of_events_and_an_event_on_that_of_commands(deployment: Deployment) -> None:
    """Genuine bytes, each for its own subject, on the wrong topic."""
    swapped = [
        replace(deployment.commands[4], topic=EVENTS, offset=60, timestamp_ms=MILLISECONDS + 60),
        replace(deployment.events[4], topic=COMMANDS, offset=60, timestamp_ms=MILLISECONDS + 60),
    ]
    deployment.archive([*deployment.events, swapped[0]], [*deployment.commands, swapped[1]])
    bad = [(one.kind, one.topic, one.offset) for one in deployment.verify().findings]
    assert bad == [("forged", COMMANDS, 60), ("forged", EVENTS, 60)]


@pytest.mark.parametrize("opened", [True, False])
def test_a_schema_that_nobody_released(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, opened: bool
) -> None:
    """As a newer memfold would write it; with the key, so it is no forgery."""
    with monkeypatch.context() as newer:
        newer.setattr(
            codec, "newest", lambda name: dataclasses.replace(newest(name), fingerprint=NEWER[name])
        )
        later = replace(event(deployment.keys, 60), timestamp_ms=MILLISECONDS + 60)
    deployment.archive([*deployment.events, later])
    bad = deployment.verify(keys=opened).findings[0]
    assert (bad.kind, bad.offset) == ("schema", 60)
    assert "newer memfold" in bad.said
    assert "0101010101010101" in bad.said


def test_an_event_that_was_written_twice_is_counted(deployment: Deployment) -> None:
    deployment.archive(
        [*deployment.events, replace(deployment.events[3], offset=60, timestamp_ms=MILLISECONDS + 60)]
    )
    report = deployment.verify()
    assert (report.ok, report.counts.duplicates) == (True, 1)


def test_the_sequence_of_commands(deployment: Deployment) -> None:
    keys = deployment.keys
    deployment.archive([*deployment.commands, *(command(keys, n) for n in range(60, 66))])
    deployment.archive([*deployment.events, event(keys, 60, 60), event(keys, 61, 63), event(keys, 62, 90)])
    bad = [one for one in deployment.verify().findings if one.kind == "sequence"]
    assert [one.offset for one in bad] == [61, 61, 62, 62, 62]
    assert "no event answers command 61" in bad[0].said
    assert "there are only 66 commands" in bad[2].said


def test_rewritten_history_that_was_signed_again(deployment: Deployment, tmp_path: Path) -> None:
    """The operator has the key: archive and seals are made anew around another event. An older checkpoint shows it."""
    kept = SealFiles(tmp_path / "seals").seals(TREE)[1].note
    for path in [
        *(tmp_path / "archive" / EVENTS).glob("*.parquet"),
        *(tmp_path / "seals").glob("*-*"),
        tmp_path / "seals" / "heads.notes",
    ]:
        path.unlink()
    rewritten = [
        *deployment.events[:30],
        replace(event(deployment.keys, 30), timestamp_ms=MILLISECONDS + 30),
        *deployment.events[31:],
    ]
    deployment.archive(rewritten)
    deployment.seal()
    assert deployment.verify().ok
    bad = found(deployment.verify(against=[("kept", kept)]).findings, "root")
    assert (bad.offset, bad.last) == (0, 39)
    assert "not those of kept" in bad.said
    assert deployment.verify(against=[("kept", SealFiles(tmp_path / "seals").seals(TREE)[0].note)]).ok


def test_a_clock_set_back(deployment: Deployment, tmp_path: Path) -> None:
    late = [
        replace(event(deployment.keys, 60 + n), timestamp_ms=MILLISECONDS + back)
        for n, back in enumerate((61, -50_000, -49_000))
    ]
    deployment.archive([*deployment.commands, *(command(deployment.keys, n) for n in range(60, 63))])
    deployment.archive([*deployment.events, *late])
    (bad,) = deployment.verify().findings
    assert (bad.kind, bad.offset) == ("clock", 61)
    assert "50.1 s before" in bad.said


def test_a_sealers_clock_set_back(deployment: Deployment, tmp_path: Path) -> None:
    deployment.archive(
        [*deployment.events, replace(deployment.events[3], offset=60, timestamp_ms=MILLISECONDS + 60)]
    )
    sealer = Sealer(tmp_path / "archive", tmp_path / "seals", 1, clock=lambda: 1_000)
    sealer.seal()
    sealer.close()
    bad = found(deployment.verify().findings, "clock")
    assert bad.file == str(tmp_path / "seals" / "heads.notes")


def test_a_sealers_key_replaced(deployment: Deployment, tmp_path: Path) -> None:
    trusted = deployment.verifier
    other = Deployment.of(tmp_path / "other", deployment.keys, 20)
    for name in ("key", "vkey"):
        (tmp_path / "seals" / name).write_text((other.home / "seals" / name).read_text())
    assert trusted != deployment.verifier
    bad = found(deployment.verify().findings, "seal")
    assert bad.file.endswith("memfold.access-00000.seals")
    assert f"not by {deployment.verifier.name}" in bad.said


def test_a_changed_or_removed_seal(deployment: Deployment, tmp_path: Path) -> None:
    path = SealFiles(tmp_path / "seals").seals_path(TREE)
    text = path.read_text()
    path.write_text(text.replace("\n40\n", "\n41\n"))
    bad = found(deployment.verify().findings, "seal")
    assert bad.file == str(path)
    assert bad.said.startswith("seal 2 of ")
    # A seal that is gone is still in the heads.
    path.write_text("")
    assert deployment.verify().ok


def test_since_takes_what_was_sealed_before_as_verified(deployment: Deployment, tmp_path: Path) -> None:
    now = 4_000_000_000_000
    report = deployment.verify(since=now)
    assert (report.ok, report.counts.records, report.trusted_before) == (True, 0, 60)
    # A node file that was tampered with is not believed: everything is read again.
    nodes = SealFiles(tmp_path / "seals").nodes_path(TREE)
    nodes.write_bytes(bytes(nodes.stat().st_size))
    report = deployment.verify(since=now)
    assert (report.ok, report.counts.records) == (True, 60)


def test_since_still_holds_an_older_checkpoint_against_the_tree(
    deployment: Deployment, tmp_path: Path
) -> None:
    kept = SealFiles(tmp_path / "seals").seals(TREE)[1].note
    now = 4_000_000_000_000
    assert deployment.verify(since=now, against=[("kept", kept)]).ok
    test_rewritten_history_that_was_signed_again(deployment, tmp_path)
    assert found(deployment.verify(since=now, against=[("kept", kept)]).findings, "root").last == 39


def test_hashes_only_finds_a_changed_value(deployment: Deployment) -> None:
    assert deployment.verify(records=False).ok
    deployment.rewrite(1, with_record(deployment.table(1), 7, event(deployment.keys, 27)))
    (bad,) = deployment.verify(records=False).findings
    assert (bad.kind, bad.offset, bad.last) == ("root", 20, 39)


def test_a_checkpoint_of_another_log_is_refused(deployment: Deployment, tmp_path: Path) -> None:
    other = Deployment.of(tmp_path / "other", deployment.keys, 20)
    note = SealFiles(other.home / "seals").heads()[0]
    (bad,) = deployment.verify(against=[("theirs", note)]).findings
    assert (bad.kind, bad.file) == ("seal", "theirs")
