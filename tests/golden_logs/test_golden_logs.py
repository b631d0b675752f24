"""Logs once written replay for ever: the same folds, the same answers. Add a folder for each new format; never change one."""

from __future__ import annotations

import contextlib
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from memfold.projections.graph import GraphShard
from memfold.projections.vector import VectorShard
from memfold.schemas.codec import BODIES, decode_envelope
from memfold.schemas.errors import KeyDestroyed, Unreadable
from memfold.schemas.keystore import KeyStore
from memfold.schemas.opening import open_record
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import LogRecord, MemoriesDecided
from memfold.schemas.registry import newest
from memfold.serve.seals import Checking
from memfold.serve.settings import Settings
from memfold.streams.projecting import fold_batch, open_batch
from tests.golden_logs.golden_log import GoldenLog, answered, archived, folded, recorded, sum_of

HERE = Path(__file__).parent
DIMENSIONS = 256
KINDS = {
    "v1": {
        *("add_requested", "update_requested", "delete_requested", "clear_requested", "retry_requested"),
        *("merge_requested", "split_requested", "revoke_requested", "import_requested", "memories_decided", "memory_read"),
        *("op ADD", "op UPDATE", "op DELETE", "op NONE", "op RESTORE", "relation ASSERT", "relation RETRACT"),
        *("outcome decided", "outcome degraded", "clear", "clear of a tenant", "taken back", "erased", "no record"),
    }
}  # fmt: skip
"""What stands in each, so that none proves less than it seems to. Its files are in SUMS."""
SUMS = {"v1": "f11ac12ad5fffde51fd88076cc451e7637b11198191968937c6ba05026d6728f"}


@pytest.fixture(params=sorted(SUMS))
def golden(request: pytest.FixtureRequest) -> GoldenLog:
    return GoldenLog(HERE / request.param)


@pytest.fixture
def home(golden: GoldenLog, tmp_path: Path) -> Settings:
    return golden.home(tmp_path / "home")


def test_none_was_changed_and_none_is_missing() -> None:
    folders = {path.name for path in HERE.iterdir() if (path / "records.jsonl").is_file()}
    assert {name: sum_of(HERE / name) for name in folders} == SUMS


def test_what_is_written_today_stands_in_one() -> None:
    """A new schema needs a new golden log: `python -m tests.golden_logs.write`."""
    written: set[bytes] = set()
    for name in SUMS:
        for record in GoldenLog(HERE / name).records():
            with contextlib.suppress(Unreadable):
                written.add(decode_envelope(record.value)[0].body_schema)
    assert {name for name in BODIES if newest(name).fingerprint not in written} == set()


def kinds_of(golden: GoldenLog, keys: KeyStore) -> set[str]:
    found: Counter[str] = Counter()
    for record in golden.records():
        try:
            _, body = open_record(record, keys)
        except KeyDestroyed:
            found["erased"] += 1
            continue
        except Unreadable:
            found["no record"] += 1
            continue
        found[decode_envelope(record.value)[0].type] += 1
        if isinstance(body, MemoriesDecided):
            found[f"outcome {body.outcome}"] += 1
            found.update(f"op {one.op}" for one in body.operations)
            found.update(f"relation {one.op}" for one in body.relations)
            found.update("clear of a tenant" if one.whole_tenant else "clear" for one in body.clears)
            found.update("taken back" for _ in body.taken_back)
    return set(found)


def test_every_kind_of_record_stands_in_it_and_opens(golden: GoldenLog, home: Settings) -> None:
    with closing(KeyStore(home.folder / "keys.db", home.key_encrypting_key())) as keys:
        assert KINDS[golden.folder.name] <= kinds_of(golden, keys)


def test_the_archive_opens_and_holds_the_log(golden: GoldenLog, home: Settings) -> None:
    assert archived(home) == golden.records()


def test_the_archive_folds_to_what_it_folded_to(golden: GoldenLog, home: Settings) -> None:
    assert folded(home) == golden.digests()


def test_the_records_fold_to_what_they_folded_to(golden: GoldenLog, home: Settings, tmp_path: Path) -> None:
    """As they come from Kafka, one at a time: no archive in between, and other batches."""
    found: dict[str, str] = {}
    with closing(KeyStore(home.folder / "keys.db", home.key_encrypting_key())) as keys:
        for partition in range(home.partitions):
            records = [one for one in golden.records() if (one.topic, one.partition) == (EVENTS, partition)]
            for name in ("vector", "graph"):
                path = tmp_path / f"{name}{partition}"
                shard = (
                    VectorShard(path, partition, DIMENSIONS)
                    if name == "vector"
                    else GraphShard(path, partition)
                )
                with closing(shard):
                    position = shard.position()
                    for record in records:
                        position = fold_batch(shard, position, [record], open_batch([record], keys))
                    found[f"{name}/{partition}"] = shard.digest()
    assert found == {shard: told.partition(":")[0] for shard, told in golden.digests().items()}


def test_it_answers_what_it_answered(golden: GoldenLog, home: Settings, tmp_path: Path) -> None:
    then = golden.answers()
    assert recorded(answered(home, tmp_path / "past"), then) == then


def test_its_seals_hold(golden: GoldenLog, home: Settings) -> None:
    """All that is found is what nobody should have written."""
    with closing(Checking(home, log=False, key=None)) as checking:
        report = checking.verify([], [], 0, True, lambda _: None)
    assert report.counts.seals > 0
    found = {(one.topic, one.partition, one.offset) for one in report.findings}
    assert found == {(one.topic, one.partition, one.offset) for one in golden.records() if no_record(one)}


def no_record(record: LogRecord) -> bool:
    try:
        decode_envelope(record.value)
    except Unreadable:
        return True
    return False
