"""An embedder by its name, and as a generation recorded it: the right model, and no key where it was not given for."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from memfold.memory.errors import InvalidInput
from memfold.providers.embedder_choice import as_recorded, chosen, name_of, named, to_record
from memfold.providers.presets import ModelSettings, embedder_from

OWN = ModelSettings(
    embedder_provider="openai",
    embedder_base_url="http://127.0.0.1:9/v1",
    embedder_model="mine",
    embedder_dimensions=64,
    embedder_api_key=SecretStr("sk-needle"),
)


@pytest.mark.parametrize(
    ("name", "model", "dimensions"),
    [
        ("wordllama", "wordllama/l2_supercat_256", 256),
        ("offline", "wordllama/l2_supercat_256", 256),
        ("minilm", "minilm/all-MiniLM-L6-v2-int8", 384),
        ("minilm/all-MiniLM-L6-v2-int8", "minilm/all-MiniLM-L6-v2-int8", 384),
        ("text-embedding-3-small", "openai/text-embedding-3-small", 1536),
        ("text-embedding-3-large", "openai/text-embedding-3-large", 3072),
        ("ollama", "ollama/nomic-embed-text", 768),
    ],
)
def test_a_name_is_a_model_with_its_dimensions(
    monkeypatch: pytest.MonkeyPatch, name: str, model: str, dimensions: int
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    found = embedder_from(named(name, ModelSettings()))
    assert (found.model, found.dimensions) == (model, dimensions)


def test_what_is_configured_is_taken_with_its_address() -> None:
    for name in ("openai", "openai/mine"):
        assert named(name, OWN) == OWN
    other = named("openai/other", OWN, 32)
    assert (other.embedder_model, other.embedder_dimensions) == ("other", 32)
    assert (other.embedder_base_url, other.embedder_api_key) == (OWN.embedder_base_url, OWN.embedder_api_key)
    elsewhere = named("mistral/mistral-embed", OWN)
    assert (elsewhere.embedder_base_url, elsewhere.embedder_api_key) == (None, None)


@pytest.mark.parametrize("name", ["", "bert", "groq/llama", "nobody/model"])
def test_what_is_no_embedder_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="provider/model"):
        named(name, ModelSettings())


def test_a_model_of_unknown_dimensions_has_to_tell_them() -> None:
    with pytest.raises(InvalidInput, match="embedder_dimensions is not set"):
        embedder_from(named("ollama/other", ModelSettings()))
    assert embedder_from(named("ollama/other", ModelSettings(), 12)).dimensions == 12


def test_a_record_makes_the_same_embedder_again_without_its_key() -> None:
    record = to_record(OWN)
    assert "sk-needle" not in repr(record)
    again = as_recorded(record, ModelSettings(embedder_api_key=SecretStr("sk-needle")))
    assert (name_of(again), again.embedder_base_url) == ("openai/mine", OWN.embedder_base_url)
    assert again.embedder_api_key == OWN.embedder_api_key
    assert as_recorded(record, OWN) == OWN
    offline = as_recorded(to_record(ModelSettings()), OWN)
    assert name_of(offline) == "wordllama"


def test_a_key_goes_nowhere_else() -> None:
    elsewhere = {**to_record(OWN), "embedder_base_url": "http://elsewhere/v1"}
    assert as_recorded(elsewhere, OWN).embedder_api_key is None


def test_only_what_somebody_said_is_a_choice() -> None:
    assert not chosen(ModelSettings())
    assert not chosen(ModelSettings(llm_model="any", embedder_api_key=SecretStr("any")))
    assert chosen(ModelSettings(embedder_provider="offline"))
    assert chosen(OWN)
