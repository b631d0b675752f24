"""SQL while the archive's files change under it, and over files that are damaged."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest

from memfold.memory.errors import ShardDamaged
from memfold.projections.archive_segments import read_covers
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from tests.audit.asking import ALEX, archive
from tests.audit.full import asked, rows
from tests.audit.logs import Script, log_of, written


async def test_a_writer_beside_the_questions(tmp_path: Path, keys: KeyStore) -> None:
    script = Script()
    for number in range(60):
        script(ALEX, written("ADD", f"m{number}", 1, str(number)))
    log = log_of(script.events, keys)
    writer = Thread(target=archive, args=(tmp_path, log, 1))
    with asked(tmp_path, log, keys) as audit:
        writer.start()
        times = 0
        while writer.is_alive() or not times:
            assert await rows(audit, "SELECT count(*), sum(bytes) > 0 FROM events") == [(60, True)]
            assert await rows(audit, "SELECT count(*) FROM memories", user_id="alex") == [(60,)]
            times += 1
    writer.join()
    assert times > 2


@pytest.mark.parametrize("view", ["events", "versions"])
async def test_damage_is_told_as_damage(tmp_path: Path, keys: KeyStore, view: str) -> None:
    log = log_of(Script()(ALEX, written("ADD", "m", 1, "coffee")).events, keys)
    with asked(tmp_path, log, keys, archived=1) as audit:
        (segment,) = read_covers(tmp_path, EVENTS)[0]
        whole = segment.path.read_bytes()
        segment.path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ShardDamaged, match=segment.path.name):
            await audit.sql(f"SELECT * FROM {view}")
        middle = bytearray(whole)
        middle[8 : len(whole) // 2] = bytes(len(whole) // 2 - 8)
        segment.path.write_bytes(bytes(middle))
        with pytest.raises(ShardDamaged, match=segment.path.name):
            await audit.sql("SELECT * FROM events")
