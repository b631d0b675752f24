"""Rebuild and verify against a live deployment: the workers that own the shards are asked, or the files are opened directly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import aiohttp
from tenacity import (
    AsyncRetrying,
    retry,
    retry_if_exception_type,
    retry_if_result,
    stop_after_delay,
    wait_fixed,
)

from memfold.memory.errors import InvalidInput
from memfold.projections.base import Standing
from memfold.projections.generations import Generations
from memfold.providers.presets import ModelSettings
from memfold.replay.build import PROJECTIONS, SOURCES, BuiltShard, Origin, open_shard
from memfold.replay.estimate import Estimate, estimate
from memfold.replay.only_one import only_one
from memfold.replay.progress import Watch, unwatched
from memfold.replay.rebuild import Rebuilt, Switch, rebuild
from memfold.replay.reembedding import Embedding
from memfold.replay.rollback import previous_of, rollback
from memfold.serve.embedded import running_stack
from memfold.serve.embedding import models_of
from memfold.serve.keys import place_of
from memfold.serve.parts import Parts
from memfold.serve.settings import Settings
from memfold.serve.view_address import addresses
from memfold.serve.view_client import ViewClient, views_of

Served = dict[tuple[str, int], Standing]


def rebuild_served(
    settings: Settings,
    projections: Sequence[str],
    source: str,
    done: Callable[[BuiltShard], None],
    models: ModelSettings | None = None,
    watch: Watch = unwatched,
    only: Sequence[int] | None = None,
    digests: bool = False,
) -> list[Rebuilt]:
    """Rebuild, then have whoever runs the projections go over to the new generation. `models`: with another embedder's vectors.

    `only`: build these partitions; the new generation is served by the call that builds the last of the others. `digests`: see
    `rebuild`.
    """
    checked(projections, PROJECTIONS, "projection")
    if models is not None and "vector" not in projections:
        raise InvalidInput(
            f"{', '.join(projections)} holds no vectors; another embedder is for the projection vector"
        )
    partitions, origin = origin_of(settings, source, models)
    checked([*map(str, only or ())], [*map(str, range(partitions))], "partition")
    generations = generations_of(settings, projections)
    with only_one(settings.folder / "projections", "memfold replay rebuild"):
        return rebuild(generations, partitions, origin, switch_of(settings), done, watch, only, digests)


def rollback_served(
    settings: Settings, projections: Sequence[str], watch: Watch = unwatched
) -> list[Rebuilt]:
    """Return to the generation that was served before, once it has caught up with the log. Raises InvalidInput where none is left."""
    checked(projections, PROJECTIONS, "projection")
    generations = generations_of(settings, projections)
    with only_one(settings.folder / "projections", "memfold replay rollback"):
        back = previous_of(generations)
        models = (
            models_of(settings.models, generations["vector"], back["vector"]) if "vector" in back else None
        )
        partitions, origin = origin_of(settings, "kafka", models)
        return rollback(generations, partitions, origin, switch_of(settings), watch)


def switch_of(settings: Settings) -> Switch:
    def switch(projection: str, generation: str) -> None:
        if not asyncio.run(_switched_by_worker(settings, projection, generation)):
            generations_of(settings, [projection])[projection].serve(generation)

    return switch


def estimate_served(settings: Settings, source: str, models: ModelSettings) -> Estimate:
    """What a rebuild with another embedder would cost; nothing is changed, and nothing that people said leaves."""
    partitions, origin = origin_of(settings, source, models)
    return estimate(origin, partitions)


def standings_on_disk(settings: Settings, partitions: int) -> Served:
    """How the served shards stand, opened here: no worker may be running. Raises ShardLocked."""
    found: Served = {}
    embedding = embedding_of(settings)
    for name, each in generations_of(settings, PROJECTIONS).items():
        for partition in range(partitions):
            path = each.shard_path(each.served(), partition)
            shard = open_shard(name, path, partition, embedding)
            try:
                found[name, partition] = Standing(shard.position(), shard.digest())
            finally:
                shard.close()
    return found


def origin_of(settings: Settings, source: str, models: ModelSettings | None = None) -> tuple[int, Origin]:
    """How many partitions there are, and the log for building processes; the vectors are the served embedder's unless others are given."""
    checked([source], SOURCES, "source")
    bootstrap_servers = running_stack(settings) or settings.bootstrap_servers
    connection = settings.connection(bootstrap_servers) if bootstrap_servers and source == "kafka" else None
    partitions = settings.partitions
    if bootstrap_servers or source == "kafka":
        parts = Parts.open(settings, bootstrap_servers)
        partitions = parts.partitions
        asyncio.run(parts.close())
    embedding = embedding_of(settings, models)
    kek = settings.key_encrypting_key()
    return partitions, Origin(
        settings.folder, place_of(settings), kek, embedding, connection, settings.index_above
    )


def embedding_of(settings: Settings, models: ModelSettings | None = None) -> Embedding:
    """The embedder of the served generation, unless another one is given."""
    vectors = Generations(settings.folder / "projections", "vector")
    models = models or models_of(settings.models, vectors, vectors.served())
    return Embedding(models, settings.embeddings)


def generations_of(settings: Settings, names: Sequence[str]) -> dict[str, Generations]:
    return {name: Generations(settings.folder / "projections", name) for name in names}


def checked(values: Sequence[str], known: Sequence[str], what: str) -> None:
    for value in values:
        if value not in known:
            raise InvalidInput(f"there is no {what} {value!r}; it is one of {', '.join(known)}")


async def standings_of_workers(settings: Settings, partitions: int | None = None) -> Served:
    """How the shards of living workers stand, empty where none lives; waits up to 20 s for partitions that change hands."""
    wanted = len(PROJECTIONS) * (partitions or settings.partitions)
    asking = AsyncRetrying(
        retry=retry_if_result(lambda found: 0 < len(found) < wanted),
        stop=stop_after_delay(20),
        wait=wait_fixed(0.2),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else {},
    )
    async with views_of(settings) as views:
        found: Served = await asking(_projections_of, views)
    return found


async def _projections_of(views: ViewClient) -> Served:
    """Mirrors of other stores are verified by themselves."""
    return {
        which: standing for which, standing in (await views.standings()).items() if which[0] in PROJECTIONS
    }


@retry(
    retry=retry_if_exception_type(aiohttp.ClientError),
    stop=stop_after_delay(30),
    wait=wait_fixed(0.2),
    reraise=True,
)
async def _switched_by_worker(settings: Settings, projection: str, generation: str) -> bool:
    """False when no living worker runs the projection. One that dies meanwhile, as of a damaged shard, is asked again when it is back."""
    if not any(projection in address.roles for address in addresses(settings.folder)):
        return False
    async with views_of(settings) as views:
        await views.switch(projection, generation)
    return True
