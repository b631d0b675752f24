"""Memory: AsyncMemory for callers without an event loop. Nothing is written twice: each verb is the async one, waited for."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from memfold.asynchronous import AsyncMemory
from memfold.audit.waiting import Audit
from memfold.memory.readers import reading
from memfold.memory.waited_watch import Watch
from memfold.memory.watch import AsyncWatch
from memfold.serve.mem0_config import MemoryConfig, settings_of

P = ParamSpec("P")
R = TypeVar("R")


def _waited_for(
    verb: Callable[Concatenate[AsyncMemory, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[Memory, P], R]:
    def call(self: Memory, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._wait_for(verb(self._memory, *args, **kwargs))

    functools.update_wrapper(call, verb)
    return call


def _waited_watch(
    verb: Callable[Concatenate[AsyncMemory, P], AsyncWatch],
) -> Callable[Concatenate[Memory, P], Watch]:
    def call(self: Memory, /, *args: P.args, **kwargs: P.kwargs) -> Watch:
        return Watch(verb(self._memory, *args, **kwargs), self._wait_for)

    functools.update_wrapper(call, verb)
    return call


class Memory:
    """An agent's memory; see AsyncMemory. Safe to share between threads. Use as `with Memory() as memory`, or call `close`."""

    def __init__(
        self, *, home: str | Path | None = None, bootstrap_servers: str | None = None, **settings: Any
    ) -> None:
        self._be(AsyncMemory(home=home, bootstrap_servers=bootstrap_servers, **settings))

    def _be(self, memory: AsyncMemory) -> None:
        self._memory = memory
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    @classmethod
    def from_config(cls, config_dict: Mapping[str, Any] | MemoryConfig, **settings: Any) -> Memory:
        """As AsyncMemory.from_config."""
        return cls(**settings_of(config_dict), **settings)

    @classmethod
    def open(cls, past: str | Path, *, home: str | Path | None = None, **settings: Any) -> Memory:
        """As AsyncMemory.open."""
        opened = cls.__new__(cls)
        opened._be(AsyncMemory.open(past, home=home, **settings))
        return opened

    def _wait_for(self, call: Coroutine[Any, Any, R]) -> R:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="memfold", daemon=True)
                self._thread.start()
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()

    reading = staticmethod(reading)
    connect = _waited_for(AsyncMemory.connect)
    add = _waited_for(AsyncMemory.add)
    add_many = _waited_for(AsyncMemory.add_many)
    search = _waited_for(AsyncMemory.search)
    get = _waited_for(AsyncMemory.get)
    get_all = _waited_for(AsyncMemory.get_all)
    relations = _waited_for(AsyncMemory.relations)
    sparql = _waited_for(AsyncMemory.sparql)
    export = _waited_for(AsyncMemory.export)
    update = _waited_for(AsyncMemory.update)
    delete = _waited_for(AsyncMemory.delete)
    delete_all = _waited_for(AsyncMemory.delete_all)
    history = _waited_for(AsyncMemory.history)
    explain = _waited_for(AsyncMemory.explain)
    what_if = _waited_for(AsyncMemory.what_if)
    retry = _waited_for(AsyncMemory.retry)
    merge_entities = _waited_for(AsyncMemory.merge_entities)
    split_entity = _waited_for(AsyncMemory.split_entity)
    revert = _waited_for(AsyncMemory.revert)
    revoke = _waited_for(AsyncMemory.revoke)
    import_memories = _waited_for(AsyncMemory.import_memories)
    export_memories = _waited_for(AsyncMemory.export_memories)
    reset = _waited_for(AsyncMemory.reset)
    watch = _waited_watch(AsyncMemory.watch)

    @property
    def audit(self) -> Audit:
        """Questions to the full log; see AsyncAudit."""
        return Audit(self._memory.audit, self._wait_for)

    def close(self) -> None:
        """Let go of everything; an embedded stack that this object started is stopped."""
        with self._starting:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            asyncio.run_coroutine_threadsafe(self._memory.close(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def __enter__(self) -> Memory:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
