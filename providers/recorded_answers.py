"""A chat model that is asked only what it has not answered before: where the same question was put to the same model, the answer
that was recorded is taken.

The hash of a question is over all that the model is shown, so a recorded answer fits only where prompt, messages and memories
are the same. Temperature, length and JSON mode are recorded nowhere: an answer is taken whatever they were.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeVar

from msgspec.structs import replace

from memfold.memory.errors import ModelUnavailable, WhatIfStopped
from memfold.providers.answers import Key, NotAsked, Tally, key_of
from memfold.providers.breaker import BreakerState
from memfold.providers.chat import Chat, ChatPrompt
from memfold.providers.json_answers import UnusableAnswer
from memfold.schemas.records import ModelCall

T = TypeVar("T")
CHARACTERS_A_TOKEN = 4


class RecordedAnswers:
    """A `Chat`. `dry`: nothing is asked; NotAsked is raised in its place."""

    def __init__(self, chat: Chat, known: Mapping[Key, ModelCall], tally: Tally, *, dry: bool) -> None:
        self._chat, self._known, self._tally, self._dry = chat, known, tally, dry

    @property
    def asks(self) -> tuple[str, str]:
        return self._chat.asks

    async def ask(self, prompt: ChatPrompt, read: Callable[[str], T]) -> tuple[T, ModelCall]:
        """Raises ModelUnavailable for an answer that cannot be used, WhatIfStopped where the model cannot be asked."""
        question = prompt.question
        known = self._known.get(key_of(*self.asks, question.prompt_hash))
        if known is not None:
            try:
                answer = read(known.answer)
            except UnusableAnswer:
                # Cut when it was recorded.
                pass
            else:
                self._tally.reused.append(known)
                return answer, replace(known, shown=list(question.shown))
        if self._dry:
            self._tally.unasked += 1
            self._tally.tokens += sum(len(one["content"]) for one in prompt.messages) // CHARACTERS_A_TOKEN
            # The other calls of the same command are counted too before this one ends it.
            await asyncio.sleep(0)
            raise NotAsked(question.purpose)
        return await self._asked(prompt, read)

    async def _asked(self, prompt: ChatPrompt, read: Callable[[str], T]) -> tuple[T, ModelCall]:
        try:
            answer, call = await self._chat.ask(prompt, read)
        except ModelUnavailable as down:
            if isinstance(down.__cause__, UnusableAnswer):
                # It answers, and badly: that is what would have become of the command.
                self._tally.unusable += 1
                raise
            raise WhatIfStopped(
                f"{down}. Nothing was changed and no report was made; see to the endpoint (or its key) and call again"
            ) from down
        self._tally.asked.append(call)
        return answer, call

    @property
    def breaker(self) -> BreakerState:
        return self._chat.breaker

    async def close(self) -> None:
        await self._chat.close()
