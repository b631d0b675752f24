"""Several calls about one command at the same time: all of their answers, or one failure with the record of every call."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from memfold.memory.errors import ModelUnavailable
from memfold.schemas.records import ModelCall

T = TypeVar("T")


async def together(asking: Sequence[Coroutine[Any, Any, tuple[T, ModelCall]]]) -> list[tuple[T, ModelCall]]:
    """The answers in order. Raises ModelUnavailable once all have ended, if one failed: half an answer is none."""
    ended = await asyncio.gather(*asking, return_exceptions=True)
    answers: list[tuple[T, ModelCall]] = []
    calls: list[ModelCall] = []
    failure: ModelUnavailable | None = None
    for end in ended:
        if isinstance(end, ModelUnavailable):
            failure, calls = failure or end, [*calls, *end.calls]
        elif isinstance(end, BaseException):
            raise end
        else:
            answers.append(end)
            calls.append(end[1])
    if failure is not None:
        raise ModelUnavailable(str(failure), calls) from failure
    return answers
