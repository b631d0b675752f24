"""The soak in short: a worker and a broker killed within a minute and a half. The long one is `make soak`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.serve.soaking import Plan, place, soak

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


async def test_a_soak_of_a_minute_and_a_half_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """Memory is not judged here: after so short a time it still grows."""
    with place(tmp_path) as there:
        soaked = await soak(there, Plan(seconds=90, rate=200, kill_worker=25, kill_broker=45, users=100))
    assert soaked.worker_kills >= 2
    assert soaked.broker_kills >= 1
    assert soaked.acknowledged
