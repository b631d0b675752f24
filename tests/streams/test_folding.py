"""Folds have threads of their own."""

from __future__ import annotations

import asyncio
import threading

import pytest

from memfold.streams.folding import folding


async def test_folds_hold_up_nothing_else() -> None:
    free = threading.Event()
    folds = [asyncio.create_task(folding(free.wait)) for _ in range(200)]
    try:
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "answered"), 20) == "answered"
        assert not any(fold.done() for fold in folds)
    finally:
        free.set()
    assert all(await asyncio.gather(*folds))


async def test_what_a_fold_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        await folding(lambda: 1 // 0)
