"""Workers that do not reach one of three brokers, which the others and the callers go on reaching: nobody else can tell that it is away."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from memfold.schemas.partitions import COMMANDS, EVENTS
from memfold.serve.settings import Settings, settings_from
from tests.infra.kafka_cluster import Cluster, running_cluster
from tests.infra.network import OtherSide, other_side
from tests.serve.adding import adding
from tests.serve.checks import everything_holds, settled, the_log_verifies
from tests.serve.stacks import running_behind

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
PARTED = 30.0
"""Seconds: five times the session time-out, three times what a write may take."""


@dataclass(frozen=True, slots=True)
class Apart:
    """Three brokers on our side, two workers on the other."""

    side: OtherSide
    cluster: Cluster
    settings: Settings


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    folder = tmp_path_factory.mktemp("apart")
    with (
        other_side(3) as side,
        running_cluster(folder / "kafka", 3, {"default.replication.factor": 3}, hosts=side.ours) as cluster,
    ):
        given: dict[str, Any] = {
            "bootstrap_servers": cluster.bootstrap,
            "partitions": 4,
            "replication": 3,
            "min_insync": 2,
            "view": {"host": side.its},
        }
        settings = settings_from(home=folder / "home", **given)
        with running_behind(side.prefix, settings, workers=2):
            yield Apart(side, cluster, settings)


async def test_workers_are_parted_from_the_broker_that_leads_most(apart: Apart) -> None:
    """Adds go on or wait; when the network is whole again everything is there, once."""
    await settled(apart.settings)
    leaders = Counter(
        apart.cluster.leader(topic, partition) for topic in (COMMANDS, EVENTS) for partition in range(4)
    )
    (broker, _), *_ = leaders.most_common()
    address = apart.side.ours[broker - 1]
    done = asyncio.Event()
    task = asyncio.create_task(adding(apart.settings, done, patience=180.0))
    await asyncio.sleep(5)
    apart.side.cut(address)
    try:
        await asyncio.sleep(PARTED)
        assert apart.cluster.leader(COMMANDS, 0), "callers see every broker"
    finally:
        apart.side.mend(address)
    await asyncio.sleep(5)
    done.set()
    added = await task
    await everything_holds(apart.settings, added.command_ids, within=180.0)
    await asyncio.to_thread(the_log_verifies, apart.settings)
