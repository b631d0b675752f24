"""`memfold doctor`: what memfold needs, looked at one by one, each with what to do where it is missing."""

from __future__ import annotations

import asyncio
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass

from memfold.infra.java import find_java
from memfold.memory.errors import MemfoldError
from memfold.memory.facts import Utterances
from memfold.providers.presets import OFFLINE, models_from
from memfold.schemas.records import Item, Message
from memfold.serve.embedded import running_stack
from memfold.serve.keys import is_there, keys_of, place_of
from memfold.serve.partition_count import known_partitions
from memfold.serve.settings import Settings
from memfold.streams.topics import ensure_topics

_LEAST_FREE = 1024**3


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and what was found or what to do."""

    name: str
    ok: bool
    found: str


def examine(settings: Settings) -> list[Check]:
    """Every check, in the order in which a start needs them. Nothing is started and nothing is changed."""
    checks: list[tuple[str, Callable[[Settings], str]]] = [
        ("home is private", _home),
        ("1 GB of free disk", _disk),
        ("key store opens", _keys),
        ("Java 17 or newer", _java),
        ("models are the pinned ones", _models),
        ("Kafka answers and keeps history", _kafka),
    ]
    return [_checked(name, check, settings) for name, check in checks]


def _checked(name: str, check: Callable[[Settings], str], settings: Settings) -> Check:
    try:
        return Check(name, True, check(settings))
    except MemfoldError as problem:
        return Check(name, False, str(problem))


class Unhealthy(MemfoldError, RuntimeError):
    """A check failed. Do: what its message says."""


def _home(settings: Settings) -> str:
    home = settings.folder
    if not home.exists():
        return f"{home} is made at the first start"
    mode = stat.S_IMODE(home.stat().st_mode)
    if mode & 0o077:
        raise Unhealthy(f"{home} can be read by others (mode {mode:o}); `chmod 700` it")
    return str(home)


def _disk(settings: Settings) -> str:
    place = settings.folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < _LEAST_FREE:
        raise Unhealthy(f"{free / 1e9:.1f} GB free at {place}; a full disk stops the broker")
    return f"{free / 1e9:.0f} GB free"


def _keys(settings: Settings) -> str:
    place = place_of(settings)
    if not is_there(settings):
        return f"{place} is made at the first start"
    keys_of(settings).close()
    return str(place)


def _java(settings: Settings) -> str:
    if settings.bootstrap_servers:
        return "not needed: Kafka is elsewhere"
    return str(find_java())


def _models(settings: Settings) -> str:
    embedder, extractor, _ = models_from(settings.models)
    if settings.models.llm_provider != OFFLINE or settings.models.embedder_provider != OFFLINE:
        return f"embedder {embedder.model}; endpoints are first asked when they are needed"

    async def use() -> None:
        await embedder.embed(["hello"])
        await extractor.extract(Utterances([Item([Message("user", "I like tea.")])], "doctor"))

    asyncio.run(use())
    return f"offline: {embedder.model}, {embedder.dimensions} dimensions"


def _kafka(settings: Settings) -> str:
    bootstrap_servers = running_stack(settings) or settings.bootstrap_servers
    if bootstrap_servers is None:
        return "no stack runs in this home; `memfold up` starts one"
    connection, known = settings.connection(bootstrap_servers), known_partitions(settings.folder)
    partitions = ensure_topics(connection, settings.topic_plan(), known=known)
    return f"{bootstrap_servers}, {partitions} partitions"
