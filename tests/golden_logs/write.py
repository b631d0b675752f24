"""Writes a golden log of the format of today: `python -m tests.golden_logs.write v2`, from the root of the repository.

Once committed it is never written again. Write another one when a schema has a new version, or when the archive or the key store
changes; then name it in `KINDS` of test_golden_logs.py with what is new in it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import KEPT
from memfold.serve.seals import seal_now
from memfold.serve.settings import Settings
from tests.golden_logs.golden_log import PARTITIONS, GoldenLog, answered, folded, lines_of, sum_of
from tests.golden_logs.life import (
    AWAY,
    ERASED,
    while_the_model_is_away,
    with_its_model,
    with_what_nobody_should_write,
)
from tests.serve.checks import reader_of, records, settled
from tests.serve.stacks import running_in

HERE = Path(__file__).parent
KEPT_OF_HOME = ("archive", "seals", "keys.db", "key")


def write(golden: GoldenLog, room: Path) -> None:
    home = room / "home"
    with running_in(home, partitions=PARTITIONS, models=AWAY):
        while_the_model_is_away(home)
    with running_in(home, partitions=PARTITIONS) as settings:
        with_its_model(home)
        asyncio.run(settled(settings))
        asyncio.run(with_what_nobody_should_write(settings))
        seal_now(settings)
        reader = reader_of(settings)
        trees = [(topic, partition) for topic in KEPT for partition in range(PARTITIONS)]
        log = [record for tree in trees for record in records(reader, *tree)]
    _erase(settings)
    golden.folder.mkdir()
    (golden.folder / "records.jsonl").write_text(lines_of(log))
    for name in KEPT_OF_HOME:
        source, to = home / name, golden.folder / "home" / name
        to.parent.mkdir(exist_ok=True)
        if source.is_dir():
            # Without the private key: nothing is ever sealed here again. Nodes are a cache.
            shutil.copytree(
                source, to, ignore=shutil.ignore_patterns("key", "lock", "published", "*.nodes", "*.lock")
            )
        else:
            shutil.copy(source, to)
    copy = golden.home(room / "copy")
    for name, found in {"digests": folded(copy), "answers": answered(copy, room / "past")}.items():
        (golden.folder / f"{name}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def _erase(settings: Settings) -> None:
    with closing(KeyStore(settings.folder / "keys.db", settings.key_encrypting_key())) as keys:
        subject = keys.known_subject(settings.tenant, "user", ERASED)
        assert subject is not None
        keys.destroy(subject)


if __name__ == "__main__":
    _, name = sys.argv
    with tempfile.TemporaryDirectory() as room:
        write(GoldenLog(HERE / name), Path(room))
    size = sum(path.stat().st_size for path in (HERE / name).rglob("*") if path.is_file())
    print(f"{HERE / name}: {size:,} bytes; its sum for test_golden_logs.py is {sum_of(HERE / name)}")
