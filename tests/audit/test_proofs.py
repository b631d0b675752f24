"""Finding the record that a proof is about, while the archive's writer replaces files."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from memfold.audit import proofs
from memfold.audit.checkpoints import TreeName
from memfold.projections.archive import ArchiveShard
from memfold.projections.archive_rows import leaf_hash
from memfold.projections.archive_segments import Segment, read_covers
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from tests.audit.logs import KEK, Script, log_of
from tests.strategies import OWNERS


def test_a_record_is_found_though_its_file_is_replaced_between_listing_and_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script()
    for _ in range(4):
        script(OWNERS[0])
    with closing(KeyStore(tmp_path / "keys.db", KEK)) as keys:
        log = log_of(script.events, keys)
    wanted, archive = script.events[0], tmp_path / "archive"
    with closing(ArchiveShard(archive, EVENTS, 0)) as shard:
        shard.append(log[:-1])
        replaced: list[Path] = []

        def listed_then_replaced(root: Path, topic: str) -> dict[int, list[Segment]]:
            covers = read_covers(root, topic)
            if topic == EVENTS and not replaced:
                # A small last segment is taken into the next one.
                shard.append(log[-1:])
                replaced.extend(one.path for one in covers[0] if not one.path.exists())
                assert replaced
            return covers

        monkeypatch.setattr(proofs, "read_covers", listed_then_replaced)
        place = proofs.locate(archive, wanted.envelope.record_id)
    assert (place.tree, place.offset) == (TreeName(EVENTS, 0), wanted.offset)
    assert place.leaf == leaf_hash(log[wanted.offset].value)
