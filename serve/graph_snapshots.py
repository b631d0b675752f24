"""Keeps snapshots of the graph shards that this worker has on its own machine's disk, for whoever gets their partitions next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from memfold.memory.errors import MemfoldError
from memfold.projections.graph import GraphShard
from memfold.projections.local_graphs import LocalGraphs

logger = logging.getLogger(__name__)


async def keep_snapshots(local: LocalGraphs, graphs: Mapping[int, GraphShard], every: float) -> None:
    """Every so many seconds, until it is cancelled. One that cannot be made is tried again at the next time; the log bridges more then."""
    while True:
        await asyncio.sleep(every)
        for partition, shard in list(graphs.items()):
            if shard.closed:
                continue
            try:
                await asyncio.to_thread(local.publish, shard)
            except (MemfoldError, OSError) as refused:
                logger.warning("no snapshot of the graph of partition %s is made: %s", partition, refused)
