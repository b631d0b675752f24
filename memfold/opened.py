"""A stack that is opened once and closed once: what every verb stands on."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from memfold.serve.caller import Caller
from memfold.serve.settings import settings_from


class Opened:
    """The stack that runs in `home`, or one that starts and stops with the block."""

    def __init__(
        self, *, home: str | Path | None = None, bootstrap_servers: str | None = None, **settings: Any
    ) -> None:
        self._settings = settings_from(home=home, bootstrap_servers=bootstrap_servers, **settings)
        self._caller: Caller | None = None

    async def open(self) -> None:
        """Connect, starting an embedded stack where none runs."""
        if self._caller is None:
            self._caller = await Caller.open(self._settings)

    async def close(self) -> None:
        """Let go of everything; an embedded stack that this object started is stopped."""
        if self._caller is not None:
            caller, self._caller = self._caller, None
            await caller.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ready(self) -> Caller:
        await self.open()
        assert self._caller is not None
        return self._caller
