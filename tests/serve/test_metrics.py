"""What Prometheus sees of a running worker, and of one that is in trouble."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from memfold import AsyncMemory
from memfold.projections.difference import Difference
from memfold.providers.breaker import BreakerState
from memfold.schemas.partitions import COMMANDS, EVENTS
from memfold.serve.metering import Metering
from memfold.serve.metrics import Standing, exposition
from memfold.serve.scrubbed import Scrubbed, ScrubbedShard
from memfold.serve.sealed import Sealed
from memfold.serve.settings import Settings
from memfold.serve.verified import Verified

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def total(found: Samples, name: str, **labels: str) -> float:
    wanted = set(labels.items())
    return sum(value for (of, has), value in found.items() if of == name and wanted <= set(has))


async def asked(settings: Settings, path: str = "metrics") -> str:
    url = f"http://127.0.0.1:{settings.metrics.port}/{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.text()


async def test_what_is_added_is_counted_and_nobody_is_named(memory: AsyncMemory, stack: Settings) -> None:
    before = samples(await asked(stack))
    await memory.add("Ravindra keeps bees in Wroclaw", user_id="metrics-ravindra", infer=False)
    text = await asked(stack)
    found = samples(text)
    for name, labels in (
        ("memfold_commands_decided_total", {"outcome": "decided"}),
        ("memfold_operations_total", {"operation": "ADD"}),
        ("memfold_log_end_offset", {"topic": COMMANDS}),
        ("memfold_log_end_offset", {"topic": EVENTS}),
    ):
        assert total(found, name, **labels) >= total(before, name, **labels) + 1, name
    for role in ("decide", "vector", "graph"):
        assert total(found, "memfold_position", role=role) > total(before, "memfold_position", role=role), (
            role
        )
    assert "process_resident_memory_bytes" in text
    for told in ("Ravindra", "ravindra", "bees", "Wroclaw"):
        assert told not in text
    assert await asked(stack, "healthz") == "ok\n"


async def test_the_lag_falls_to_nothing(memory: AsyncMemory, stack: Settings) -> None:
    await memory.add("The lag is a number", user_id="metrics-lag", infer=False)
    async with asyncio.timeout(30):
        while total(samples(await asked(stack)), "memfold_lag_records"):  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.05)


def test_trouble_has_numbers() -> None:
    now = time.time()
    standing = Standing(
        positions={"vector": {(EVENTS, 0): 4, (EVENTS, 1): -1}},
        ends={(EVENTS, 0): 10, (EVENTS, 1): 3},
        quarantined={"graph": 2},
        breakers=[BreakerState("http://llm", "open", 5, datetime.now(UTC))],
        pending=3,
        missed_reads=1,
        sealed=Sealed(now - 90, {(EVENTS, 0): 3, (EVENTS, 1): 0}),
        verified=Verified(now - 3600, 100, 100, 2),
        scrubbed=Scrubbed(
            [
                ScrubbedShard("vector", 0, 3, 1, now - 7200, [Difference("m", "version 1", "differs")]),
                ScrubbedShard("graph", 0, 3, 1, now - 60),
            ],
            slices=4,
        ),
        now=now,
    )
    found = samples(exposition(standing, CollectorRegistry()).decode())
    assert total(found, "memfold_lag_records", role="vector", partition="0") == 5
    assert total(found, "memfold_lag_records", role="vector", partition="1") == 3
    assert total(found, "memfold_quarantined_records_total", role="graph") == 2
    assert total(found, "memfold_breaker_state", endpoint="http://llm", state="open") == 1
    assert total(found, "memfold_breaker_state", endpoint="http://llm") == 1
    assert total(found, "memfold_pending_memories") == 3
    assert total(found, "memfold_missed_reads_total") == 1
    assert round(total(found, "memfold_seal_age_seconds")) == 90
    assert total(found, "memfold_unsealed_records", partition="0") == 3
    assert round(total(found, "memfold_verified_age_seconds")) == 3600
    assert total(found, "memfold_verify_findings") == 2
    assert total(found, "memfold_unsealed_records", partition="1") == 0
    assert total(found, "memfold_scrub_slices_total") == 4
    assert total(found, "memfold_scrub_differences", projection="vector") == 1
    assert total(found, "memfold_scrub_differences", projection="graph") == 0
    assert round(total(found, "memfold_scrub_age_seconds")) == 7200


def test_every_metric_is_in_the_documentation_and_no_other() -> None:
    standing = Standing(
        {},
        {},
        {},
        [],
        0,
        0,
        Sealed(0.0, {}),
        Verified(0.0, 0, 0, 0),
        Scrubbed([ScrubbedShard("vector", 0, 1, 1, 0.0)]),
        0.0,
    )
    text = exposition(standing, Metering().registry).decode()
    families = [family.name for family in text_string_to_metric_families(text)]
    told = {name for name in families if name.startswith("memfold_")}
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    named = {
        name.removesuffix("_total")
        for name in re.findall(r"^\|(.*?)\|", page, re.M)
        for name in re.findall(r"memfold_\w+", name)
    }
    assert named == told
