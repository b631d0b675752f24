"""Every row of the table against the emulation of its service, end to end: extract, decide, and embed where it can."""

from __future__ import annotations

import numpy as np
import pytest

from memfold.memory.errors import InvalidInput, ModelUnavailable
from memfold.providers.presets import ModelSettings, embedder_from, models_from
from memfold.providers.services import EMBEDDINGS, SERVICES, Quirk
from tests.emulator.openai_server import FaultName, OpenAIServer
from tests.emulator.services import AZURE_DATED, PLAIN, PLAYED, Played
from tests.providers.conftest import ModelSet
from tests.providers.saying import candidate, in_words, said

EMBEDDING = list(EMBEDDINGS)


def settings_of(name: str, server: OpenAIServer, **changed: object) -> ModelSettings:
    """The service's row with the emulator's address; everything else as the row has it."""
    given: dict[str, object] = {
        "llm_provider": name,
        "llm_base_url": server.base_url,
        "llm_api_key": "sk-mine",
        "llm_model": SERVICES[name].model or "own",
        "llm_max_tokens": 500,
    }
    if name in EMBEDDINGS:
        given |= {
            "embedder_provider": name,
            "embedder_base_url": server.base_url,
            "embedder_api_key": "sk-mine",
            "embedder_model": EMBEDDINGS[name].model or "own",
            "embedder_dimensions": 256,
        }
    return ModelSettings.model_validate(given | changed)


async def works(models: ModelSet) -> None:
    """The golden example from end to end."""
    (met,) = (await models.extractor.extract(said("I met Sarah from Google"))).facts
    assert in_words(met.relations) == {"alex MET Sarah[PERSON]", "Sarah WORKS_AT Google[COMPANY]"}
    coffee, tea = (await models.extractor.extract(said("I like coffee", "Actually, I prefer tea now"))).facts
    answer = await models.decider.decide([candidate(tea, met, coffee)])
    assert [(each.op, each.memory_id) for each in answer.decisions] == [("UPDATE", "m1")]
    assert [(call.attempts, call.error) for call in answer.calls] == [(1, "")]
    vectors = await models.embedder.embed([f"I saw film {number}" for number in range(200)])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)


def test_every_service_is_played() -> None:
    assert list(PLAYED) == list(SERVICES)
    assert len(SERVICES) >= 20
    assert {name for name, played in PLAYED.items() if played.embeds} == set(EMBEDDINGS)


@pytest.mark.parametrize("name", SERVICES)
async def test_a_service_is_spoken_to_as_it_wants(name: str) -> None:
    async with OpenAIServer(api_key="sk-mine", plays=PLAYED[name]) as server:
        models = ModelSet(*models_from(settings_of(name, server)))
        await works(models)
        await models.close()


async def test_azures_dated_versions_have_a_deployments_path_and_a_query() -> None:
    async with OpenAIServer(api_key="sk-mine", plays=AZURE_DATED) as server:
        address = server.base_url.replace("/v1", "/openai/v1")
        dated = {"llm_api_version": "2024-10-21", "embedder_api_version": "2024-10-21"}
        models = ModelSet(
            *models_from(
                settings_of("azure_openai", server, llm_base_url=address, embedder_base_url=address, **dated)
            )
        )
        await works(models)
        assert set(server.requests) == {
            "/openai/deployments/own/chat/completions",
            "/openai/deployments/own/embeddings",
        }
        await models.close()


# "deployments" changes something only with a dated version, which has a test of its own.
QUIRKS_OF: list[tuple[str, Quirk]] = [
    (name, quirk) for name, row in SERVICES.items() for quirk in sorted(row.quirks) if quirk != "deployments"
]


@pytest.mark.parametrize(("name", "quirk"), QUIRKS_OF)
async def test_without_its_quirk_a_service_refuses(
    monkeypatch: pytest.MonkeyPatch, name: str, quirk: Quirk
) -> None:
    row = SERVICES[name]
    without = dict(SERVICES) | {name: row._replace(quirks=row.quirks - {quirk})}
    monkeypatch.setattr("memfold.providers.connecting.SERVICES", without)
    async with OpenAIServer(api_key="sk-mine", plays=PLAYED[name]) as server:
        models = ModelSet(*models_from(settings_of(name, server)))
        with pytest.raises(ModelUnavailable, match=r"HTTP 40[01]"):
            await works(models)
        await models.close()


UNUSABLE: dict[FaultName, str] = {
    "cut_off": "cut off",
    "refusal": "I cannot help with that",
    "empty": "no content",
    "not_json": "is no response",
    "truncated": "cannot be used",
    "huge": "longer than",
    "hangup": "connection broke",
}


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize("fault", UNUSABLE)
async def test_an_unusable_response_is_asked_for_again_and_named(fault: FaultName) -> None:
    async with OpenAIServer(plays=PLAYED["perplexity"]) as server:
        models = ModelSet(*models_from(settings_of("perplexity", server)))
        server.misbehave(fault, times=2)
        (call,) = (await models.extractor.extract(said("I like coffee"))).calls
        assert (call.attempts, call.input_tokens, call.output_tokens) == (3, 100, 10)
        server.misbehave(fault, times=3)
        with pytest.raises(ModelUnavailable, match=UNUSABLE[fault]):
            await models.extractor.extract(said("I like coffee"))
        await models.close()


async def test_a_refused_parameter_is_named_by_the_error() -> None:
    async with OpenAIServer(plays=Played(refuses=frozenset({"temperature"}))) as server:
        settings = settings_of("mistral", server, embedder_provider="offline")
        models = ModelSet(*models_from(settings))
        with pytest.raises(ModelUnavailable, match=r"HTTP 400: .*temperature") as raised:
            await models.extractor.extract(said("I like coffee"))
        assert "temperature" in raised.value.calls[0].error
        await models.close()


@pytest.mark.parametrize(("given", "sent"), [(None, 0), (0.7, 0.7)])
async def test_the_temperature_is_zero_unless_it_is_set(given: float | None, sent: float) -> None:
    async with OpenAIServer(plays=PLAIN) as server:
        models = ModelSet(*models_from(settings_of("mistral", server, llm_temperature=given)))
        await models.extractor.extract(said("I like coffee"))
        assert server.bodies[0]["temperature"] == sent
        assert server.bodies[0]["max_tokens"] == 500
        await models.close()


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in EMBEDDINGS])
def test_a_service_without_embeddings_says_what_to_set(name: str) -> None:
    with pytest.raises(
        InvalidInput, match="no embeddings; set MEMFOLD_MODELS__EMBEDDER_PROVIDER to one of offline"
    ):
        embedder_from(ModelSettings(embedder_provider=name))


@pytest.mark.parametrize("name", [name for name, row in SERVICES.items() if row.key_variable])
def test_a_missing_key_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    row = SERVICES[name]
    monkeypatch.delenv(row.key_variable, raising=False)
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://mine.openai.azure.com/")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    settings = ModelSettings(llm_provider=name, llm_model="own")
    with pytest.raises(
        InvalidInput, match=f"llm_api_key .* MEMFOLD_MODELS__LLM_API_KEY or {row.key_variable}"
    ):
        models_from(settings)


@pytest.mark.parametrize(
    ("name", "variable"), [("azure_openai", "AZURE_OPENAI_ENDPOINT"), ("aws_bedrock", "AWS_REGION")]
)
def test_a_variable_in_an_address_is_named(monkeypatch: pytest.MonkeyPatch, name: str, variable: str) -> None:
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(InvalidInput, match=f"MEMFOLD_MODELS__LLM_BASE_URL or {variable}"):
        models_from(ModelSettings(llm_provider=name, llm_model="own"))


@pytest.mark.parametrize("name", [name for name, row in SERVICES.items() if not row.key_variable])
def test_a_local_server_needs_no_key(name: str) -> None:
    models_from(ModelSettings(llm_provider=name, llm_model="own"))


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1", True),
        ("https://bedrock-runtime.evil.example/x.amazonaws.com/openai/v1", False),
        ("https://evil.example/openai/v1", False),
    ],
)
def test_a_key_goes_to_any_region_of_its_service_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, address: str, own: bool
) -> None:
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    settings = ModelSettings(llm_provider="aws_bedrock", llm_model="m", llm_base_url=address)
    if own:
        with pytest.raises(InvalidInput, match="AWS_BEARER_TOKEN_BEDROCK"):
            models_from(settings)
    else:
        models_from(settings)
