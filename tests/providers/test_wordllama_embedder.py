from __future__ import annotations

import asyncio
import logging
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.memory.errors import InvalidInput
from memfold.providers.wordllama_embedder import INLINE_CHARACTERS, WordLlamaEmbedder

SENTENCES = [
    "I like coffee",
    "I prefer tea",
    "Sarah works at Google",
    "🙂 日本",
    "a" * 5_000,
    "one two " * 30_000,
]


async def test_a_related_text_is_nearer_than_an_unrelated_one() -> None:
    question, near, far = await WordLlamaEmbedder().embed(
        ["who works at Google?", "Sarah works at Google", "I am allergic to peanuts"]
    )
    assert question @ near > question @ far + 0.2


@pytest.mark.parametrize("blank", ["", " ", "\n\t "])
async def test_blank_text_has_one_fixed_unit_vector(blank: str) -> None:
    (row,) = await WordLlamaEmbedder().embed([blank])
    assert row[0] == 1.0
    assert not row[1:].any()


async def test_a_vector_does_not_depend_on_its_batch() -> None:
    embedder = WordLlamaEmbedder()
    together = await embedder.embed(SENTENCES)
    assert sum(map(len, SENTENCES)) > INLINE_CHARACTERS
    for text, row in zip(SENTENCES, together, strict=True):
        (alone,) = await embedder.embed([text])
        assert np.array_equal(alone, row)


async def test_a_long_batch_leaves_the_loop_free() -> None:
    embedder = WordLlamaEmbedder()
    await embedder.embed(["loaded"])
    turns = 0
    long_batch = asyncio.ensure_future(embedder.embed(SENTENCES * 4))
    while not long_batch.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 1


async def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(InvalidInput, match="surrogate"):
        await WordLlamaEmbedder().embed(["fine", "\ud800"])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
def test_any_text_gives_finite_unit_vectors(texts: list[str]) -> None:
    rows = asyncio.run(WordLlamaEmbedder().embed(texts))
    assert rows.shape == (len(texts), 256)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)


async def test_loading_leaves_the_callers_logging_alone() -> None:
    before = (logging.getLogger().handlers[:], logging.getLogger().level)
    await WordLlamaEmbedder().embed(["x"])
    assert (logging.getLogger().handlers, logging.getLogger().level) == before


def test_importing_loads_no_model() -> None:
    code = "import sys, memfold.providers.wordllama_embedder; print('wordllama' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
        == "False\n"
    )
