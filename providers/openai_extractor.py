"""Facts and relations by a chat model."""

from __future__ import annotations

from collections.abc import Sequence

from memfold.memory.facts import Extraction, FoundFact, Utterances
from memfold.memory.prompts import EXTRACTION_SCHEMA, Prompt, extraction_prompt
from memfold.providers.asked_messages import Shown, shown
from memfold.providers.breaker import BreakerState
from memfold.providers.chat import Chat, ChatPrompt
from memfold.providers.found_facts import facts_in
from memfold.providers.together import together
from memfold.schemas.records import ModelCall

USERS = ("user",)


class OpenAIExtractor:
    """The `FactExtractor` over a chat model. Finds what `roles` said; nothing said means no call.

    One call for forty messages or 24,000 characters, never more than twelve for a command (see pieces.py).
    """

    def __init__(self, model: Chat, prompt: Prompt | None = None, roles: Sequence[str] = USERS) -> None:
        self._model = model
        self._prompt = prompt or extraction_prompt()
        self._roles = roles

    async def extract(self, said: Utterances) -> Extraction:
        """Raises ModelUnavailable after bounded attempts; an answer that is wrong in one fact is refused whole."""
        answers = await together([self._ask(call, said) for call in shown(said, self._roles)])
        return Extraction([fact for facts, _ in answers for fact in facts], [call for _, call in answers])

    async def _ask(self, call: Shown, said: Utterances) -> tuple[list[FoundFact], ModelCall]:
        prompt = ChatPrompt("extraction", self._prompt, "messages", call.data, EXTRACTION_SCHEMA)
        return await self._model.ask(prompt, lambda text: facts_in(text, call.places, said))

    @property
    def breaker(self) -> BreakerState:
        return self._model.breaker

    async def close(self) -> None:
        await self._model.close()
