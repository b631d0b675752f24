"""The shards of vectors and graphs that a worker has: where each is opened, who follows which, and what is told of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from memfold.projections.base import Shard, Standing
from memfold.projections.graph import GraphShard
from memfold.projections.local_graphs import LocalGraphs, check_not_a_snapshot
from memfold.projections.proposals import Proposals
from memfold.replay.build import open_shard
from memfold.replay.reembedding import Embedding
from memfold.serve.embedding import models_of, record_first
from memfold.serve.parts import Parts
from memfold.streams.progress import Progress
from memfold.streams.projecting import ShardSink
from memfold.streams.quarantine import Quarantine
from memfold.streams.traces import Traces


class WorkerShards:
    """Of the roles that are projections. Mappings change while partitions come and go."""

    def __init__(self, parts: Parts, roles: Sequence[str]) -> None:
        """Raises InvalidInput for a folder of graphs that is another deployment's."""
        self._parts = parts
        known = {"vector": parts.vectors, "graph": parts.graphs}
        self.generations = {role: known[role] for role in roles if role in known}
        self.sinks: dict[str, dict[int, ShardSink]] = {role: {} for role in self.generations}
        self.graphs: dict[int, GraphShard] = {}
        folder = parts.settings.local_graphs if "graph" in self.generations else None
        self.local = LocalGraphs(folder.expanduser().absolute(), parts.graphs) if folder else None

    def tidy(self) -> None:
        """Remove generations that nobody returns to."""
        for generations in self.generations.values():
            generations.remove_previous(self._parts.settings.previous_generation_hours * 3600)
        if self.local is not None:
            self.local.tidy()

    def sink(
        self, role: str, partition: int, quarantine: Quarantine, progress: Progress, traces: Traces | None
    ) -> ShardSink:
        """What follows a partition into the served generation's shard."""

        def open_served(partition: int) -> Shard:
            return self.open_shard(role, Proposals(self.generations[role]).settled(), partition)

        keys = self._parts.keys
        sink = ShardSink(role, partition, open_served, keys, quarantine, progress, self._followed, traces)
        self.sinks[role][partition] = sink
        return sink

    def _followed(self, partition: int, shard: Shard) -> None:
        """Not sooner: a shard that is being prepared lacks what it has not read yet, and may never be served."""
        if isinstance(shard, GraphShard):
            self.graphs[partition] = shard

    def open_shard(self, role: str, generation: str, partition: int) -> Shard:
        settings, vectors = self._parts.settings, role == "vector"
        if self.local is not None and not vectors:
            path = self.local.fetched(generation, partition)
        else:
            path = self.generations[role].shard_path(generation, partition)
            check_not_a_snapshot(path)
        embedding = self.embedding(generation) if vectors else Embedding(settings.models, settings.embeddings)
        shard = open_shard(role, path, partition, embedding, settings.index_above)
        if vectors:
            # Only now: a shard of other dimensions would have been refused.
            record_first(embedding.models, self._parts.vectors, generation)
        return shard

    def embedding(self, generation: str) -> Embedding:
        settings = self._parts.settings
        return Embedding(models_of(settings.models, self._parts.vectors, generation), settings.embeddings)

    async def standings(self) -> dict[str, dict[int, Standing]]:
        """Of each shard that is open, as it stands between two batches."""
        found: dict[str, dict[int, Standing]] = {role: {} for role in self.sinks}
        for role, sinks in self.sinks.items():
            for partition, sink in list(sinks.items()):
                standing = await asyncio.to_thread(sink.standing)
                if standing is not None:
                    found[role][partition] = standing
        return found

    async def copy(self, projection: str, partition: int, generation: str) -> bool:
        """Only graphs: a shard of vectors is copied by whoever wants to."""
        shard = self.graphs.get(partition)
        if projection != "graph" or shard is None or shard.closed:
            return False
        to = self.generations["graph"].copy_path(generation, partition)
        await asyncio.to_thread(shard.copy, to)
        return True
