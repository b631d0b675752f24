"""What a generation says of its vectors: once, durably, and never something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from memfold.memory.errors import ShardDamaged
from memfold.projections.embedded_by import FILE, EmbeddedBy, embedded_by, record
from memfold.projections.generations import FIRST, Generations

ONE = EmbeddedBy("a/model", 8, {"embedder_provider": "a"})


def test_the_first_word_counts(tmp_path: Path) -> None:
    generations = Generations(tmp_path, "vector")
    assert embedded_by(generations, FIRST) is None
    assert record(generations, FIRST, ONE) == ONE
    assert record(generations, FIRST, EmbeddedBy("another/model", 16)) == ONE
    assert embedded_by(generations, FIRST) == ONE
    assert [path.name for path in generations.path(FIRST).iterdir()] == [FILE], "nothing is left beside it"


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    generations = Generations(tmp_path, "vector")
    record(generations, FIRST, ONE)
    (generations.path(FIRST) / FILE).write_bytes(b'{"model": 3}')
    with pytest.raises(ShardDamaged, match=r"g0001/embedder\.json.*--embedder NAME"):
        embedded_by(generations, FIRST)
