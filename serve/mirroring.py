"""What is done with the mirrors of a deployment: filled, verified, removed, and asked how they stand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from memfold.memory.errors import InvalidInput
from memfold.projections.base import Standing
from memfold.projections.graph import GraphShard
from memfold.projections.vector import VectorShard
from memfold.projections.vector_table import is_there
from memfold.replay.build import BuiltShard
from memfold.replay.compared import Compared
from memfold.replay.mirroring import fill, verify_mirror
from memfold.serve.graph_mirrors import open_mirror
from memfold.serve.mirrors import Declared, Mirrors
from memfold.serve.replaying import embedding_of, origin_of
from memfold.serve.settings import Settings
from memfold.serve.view_address import addresses
from memfold.serve.view_client import views_of
from memfold.stores.errors import StoreRefused, StoreUnavailable


@dataclass(frozen=True, slots=True)
class MirrorStatus:
    """A mirror, the process that keeps it (None: none does), and how far each partition of the log has come into it."""

    declared: Declared
    pid: int | None
    positions: Mapping[int, int]


def add(
    settings: Settings,
    name: str,
    provider: str,
    config: dict[str, Any],
    source: str,
    done: Callable[[BuiltShard], None],
) -> list[BuiltShard]:
    """Declare a mirror and fill it from the log up to its end; called again, it goes on where it was interrupted.

    Raises InvalidInput, ExtraMissing, StoreUnavailable, StoreRefused, and as `replay rebuild`. What a store refuses before anything
    was put into it is not declared.
    """
    mirrors = Mirrors(settings.folder)
    known = name in [one.name for one in mirrors.all()]
    declared = mirrors.declare(name, provider, config)
    _refuse_kept(settings, declared)
    partitions, origin = origin_of(settings, source)
    mirror = open_mirror(mirrors, declared, embedding_of(settings))
    try:
        mirror.open()
    except (InvalidInput, StoreUnavailable, StoreRefused):
        if not known:
            mirrors.forget(name)
        raise
    with closing(mirror):
        return fill(
            declared.role,
            mirror.shard,
            lambda partition: mirrors.shard_path(name, partition),
            partitions,
            origin,
            done,
        )


def verify(settings: Settings, name: str, source: str) -> list[Compared]:
    """What a mirror holds beside a fold of the log to the same offsets: every row but its vector is read from the store."""
    mirrors = Mirrors(settings.folder)
    declared = mirrors.get(name)
    partitions, origin = origin_of(settings, source)
    if _pid(settings, declared) is not None:
        standings = asyncio.run(_standings(settings, declared))
    else:
        standings = {}
        with closing(open_mirror(mirrors, declared, embedding_of(settings))) as mirror:
            for partition in range(partitions):
                with closing(mirror.shard(partition)) as shard:
                    standings[partition] = Standing(shard.position(), shard.digest())
    return verify_mirror(declared.role, declared.projection, standings, mirrors.path(name) / "aside", origin)


def remove(settings: Settings, name: str, keep: bool) -> None:
    """Drop the store's collection, unless it is to be kept, and forget the mirror. Raises InvalidInput while a process keeps it."""
    mirrors = Mirrors(settings.folder)
    declared = mirrors.get(name)
    _refuse_kept(settings, declared)
    if not keep:
        with closing(open_mirror(mirrors, declared, embedding_of(settings))) as mirror:
            mirror.drop()
    mirrors.forget(name)


def all_of(settings: Settings) -> list[MirrorStatus]:
    """Every mirror; the books of those that nothing keeps are opened here."""
    mirrors = Mirrors(settings.folder)
    return [_status(settings, mirrors, declared) for declared in mirrors.all()]


def _status(settings: Settings, mirrors: Mirrors, declared: Declared) -> MirrorStatus:
    pid = _pid(settings, declared)
    if pid is not None:
        return MirrorStatus(declared, pid, asyncio.run(_positions(settings, declared)))
    positions: dict[int, int] = {}
    by = mirrors.made_by(declared.name)
    for partition in mirrors.partitions(declared.name):
        path = mirrors.shard_path(declared.name, partition)
        if declared.projection == "graph":
            with closing(GraphShard(path, partition)) as graph:
                positions[partition] = graph.position().offset
        elif by is not None and is_there(path):
            with closing(VectorShard(path, partition, by.dimensions)) as book:
                positions[partition] = book.position().offset
    return MirrorStatus(declared, None, positions)


async def _positions(settings: Settings, declared: Declared) -> dict[int, int]:
    async with views_of(settings) as views:
        found = await views.status()
    mine = [one for one in found if declared.role in one["roles"] and "positions" in one]
    return {int(p): offset for one in mine for p, offset in one["positions"][declared.role].items()}


async def _standings(settings: Settings, declared: Declared) -> dict[int, Standing]:
    async with views_of(settings) as views:
        found = await views.standings()
    return {partition: one for (role, partition), one in found.items() if role == declared.role}


def _pid(settings: Settings, declared: Declared) -> int | None:
    return next((one.pid for one in addresses(settings.folder) if declared.role in one.roles), None)


def _refuse_kept(settings: Settings, declared: Declared) -> None:
    pid = _pid(settings, declared)
    if pid is not None:
        raise InvalidInput(
            f"process {pid} keeps the mirror {declared.name!r} current; stop it first (`memfold down`, or Ctrl-C where it runs)"
        )
