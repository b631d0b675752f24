"""The threads in which records are opened and folded: apart from the event loop's own, and no more than do any good.

A worker that is behind folds all of its partitions for each role at once, for seconds at a time. In the same threads the questions that
decide who goes on waited behind that: where a partition ends, a shard to be opened, an event that somebody asks for. After a broker
had been away for some seconds a partition stood still for minutes that way.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")

_FOLDS = ThreadPoolExecutor((os.cpu_count() or 1) + 4, thread_name_prefix="memfold-fold")


async def folding(work: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
    """What `work` returns, done in one of these threads; waits for its turn."""
    return await asyncio.get_running_loop().run_in_executor(_FOLDS, partial(work, *given, **named))
