"""A stack that is connected to once and left once, or a past that is opened: what every verb stands on."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from memfold.serve.caller import Caller
from memfold.serve.past_settings import past_in
from memfold.serve.settings import settings_from
from memfold.serve.tracing import Tracing

if TYPE_CHECKING:
    from memfold.serve.past_caller import PastCaller


class Opened:
    """The stack that runs in `home`, or one that starts and stops with the block."""

    def __init__(
        self, *, home: str | Path | None = None, bootstrap_servers: str | None = None, **settings: Any
    ) -> None:
        self._settings = settings_from(home=home, bootstrap_servers=bootstrap_servers, **settings)
        self._past: Path | None = None
        self._caller: Caller | PastCaller | None = None
        self._tracing = Tracing(self._settings, "memfold-client")

    @classmethod
    def open(cls, past: str | Path, *, home: str | Path | None = None, **settings: Any) -> Self:
        """What `memfold replay at` has built in the folder `past`, for reading: no Kafka and no worker is needed.

        It needs the key store of the deployment, in `home` (left out: where it was when the past was built). Every verb that reads
        answers as of then; every verb that writes raises ReadOnly. Raises InvalidInput for what is no past, or half built; the first
        verb also raises WrongKey, ShardDamaged, and PastOutlived when somebody in it was erased since.
        """
        folder, found = past_in(past)
        opened = cls(home=home or found.home, **settings)
        opened._past, opened._settings = folder, found.settings(opened._settings)
        return opened

    async def connect(self) -> None:
        """Connect, starting an embedded stack where none runs; a past is only opened."""
        if self._caller is not None:
            return
        if self._past is None:
            self._caller = await Caller.open(self._settings, self._tracing.traces())
            return
        # Only then: the graph, which is read in this process, takes a second to import.
        from memfold.serve.past_caller import PastCaller

        self._caller = await PastCaller.open(self._past, self._settings)

    async def close(self) -> None:
        """Let go of everything; an embedded stack that this object started is stopped."""
        if self._caller is not None:
            caller, self._caller = self._caller, None
            await caller.close()
        await self._tracing.close()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ready(self) -> Caller | PastCaller:
        await self.connect()
        assert self._caller is not None
        self._caller.admit()
        return self._caller
