"""Which models a deployment uses: settings in, models out. A service is a row of services.py, not a class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from memfold.memory.ports import DecisionMaker, Embedder, FactExtractor
from memfold.memory.prompts import decision_prompt, extraction_prompt
from memfold.providers.breaker import BreakerState
from memfold.providers.model_settings import MINILM
from memfold.providers.model_settings import OFFLINE as OFFLINE
from memfold.providers.model_settings import ModelSettings as ModelSettings
from memfold.providers.offline_decider import OfflineDecider
from memfold.providers.offline_extractor import OfflineExtractor
from memfold.providers.wordllama_embedder import WordLlamaEmbedder

if TYPE_CHECKING:
    from memfold.providers.chat import Chat


def models_from(settings: ModelSettings) -> tuple[Embedder, FactExtractor, DecisionMaker]:
    """The three models. Loads and asks nothing yet. Raises InvalidInput naming the field and the variable to set."""
    return embedder_from(settings), *judges_from(settings)


def judges_from(
    settings: ModelSettings, around: Callable[[Chat], Chat] = lambda chat: chat
) -> tuple[FactExtractor, DecisionMaker]:
    """The two that understand, for who has an embedder already. `around` makes what they ask of the chat model.

    Raises InvalidInput as `models_from` does.
    """
    roles = _roles(settings)
    if settings.llm_provider == OFFLINE:
        return OfflineExtractor(roles), OfflineDecider()
    # openai takes half a second to import, which the offline default need not pay.
    from memfold.providers.connecting import chat_from
    from memfold.providers.openai_decider import OpenAIDecider
    from memfold.providers.openai_extractor import OpenAIExtractor

    chat = around(chat_from(settings))
    extractor = OpenAIExtractor(chat, extraction_prompt(settings.custom_fact_extraction_prompt), roles)
    return extractor, OpenAIDecider(chat, decision_prompt(settings.custom_update_memory_prompt))


def embedder_from(settings: ModelSettings) -> Embedder:
    """The embedder alone, for who only searches. Raises InvalidInput as `models_from` does."""
    if settings.embedder_provider == OFFLINE:
        return WordLlamaEmbedder()
    if settings.embedder_provider == MINILM:
        from memfold.providers.minilm_embedder import MiniLMEmbedder

        return MiniLMEmbedder()
    from memfold.providers.connecting import remote_embedder_from

    return remote_embedder_from(settings)


def _roles(settings: ModelSettings) -> Sequence[str]:
    return ("user", "assistant") if settings.facts_from == "everyone" else ("user",)


@runtime_checkable
class _Connected(Protocol):
    @property
    def breaker(self) -> BreakerState: ...
    async def close(self) -> None: ...


async def close_models(*models: Embedder | FactExtractor | DecisionMaker) -> None:
    """Gives up the connections of those models that hold any."""
    for model in models:
        if isinstance(model, _Connected):
            await model.close()


def breakers_of(*models: Embedder | FactExtractor | DecisionMaker) -> list[BreakerState]:
    """How the circuit breakers of the endpoints behind the models stand, each endpoint once; none for offline models."""
    found = (model.breaker for model in models if isinstance(model, _Connected))
    return list(dict.fromkeys(found))
