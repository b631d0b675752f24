"""How a worker stands, as Prometheus reads it: positions and lag, seals, quarantine, breakers, what is pending.

Looked at when it is asked for, from what the worker has in hand: no second set of counters that could tell another story.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from memfold.providers.breaker import BreakerState
from memfold.serve.scrubbed import Scrubbed
from memfold.serve.sealed import Sealed
from memfold.serve.verified import Verified

BREAKER_STATES = ("closed", "half-open", "open")
Places = Mapping[tuple[str, int], int]
"""{(topic, partition): offset}"""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a worker knows of itself and of the log at one moment. `ends`: the offset that the next record will get."""

    positions: Mapping[str, Places]
    ends: Places
    quarantined: Mapping[str, int]
    breakers: Sequence[BreakerState]
    pending: int | None
    missed_reads: int
    sealed: Sealed | None
    verified: Verified | None
    scrubbed: Scrubbed
    now: float


def exposition(standing: Standing, counted: CollectorRegistry) -> bytes:
    """Prometheus's text format, version 0.0.4: the standing, what was counted, and the process itself."""
    registry = CollectorRegistry()
    registry.register(_Looked(standing))
    ProcessCollector(registry=registry)
    return generate_latest(registry) + generate_latest(counted)


class _Looked(Collector):
    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    def collect(self) -> Iterable[Metric]:
        yield from _of_the_log(self._standing)
        yield from _of_this_process(self._standing)
        if self._standing.sealed is not None:
            yield from _of_the_seals(self._standing.sealed, self._standing.now)
        if self._standing.verified is not None:
            yield from _of_the_verification(self._standing.verified, self._standing.now)
        yield from _of_the_scrub(self._standing.scrubbed, self._standing.now)


def _of_the_log(standing: Standing) -> Iterator[Metric]:
    ends = GaugeMetricFamily(
        "memfold_log_end_offset", "Offset that the next record will get.", labels=["topic", "partition"]
    )
    for (topic, partition), end in standing.ends.items():
        ends.add_metric([topic, str(partition)], end)
    labels = ["role", "topic", "partition"]
    positions = GaugeMetricFamily(
        "memfold_position", "Offset of the last record that was applied.", labels=labels
    )
    lags = GaugeMetricFamily("memfold_lag_records", "Records that are not applied yet.", labels=labels)
    for role, places in standing.positions.items():
        for (topic, partition), offset in places.items():
            positions.add_metric([role, topic, str(partition)], offset)
            if (topic, partition) in standing.ends:
                lag = max(0, standing.ends[topic, partition] - 1 - offset)
                lags.add_metric([role, topic, str(partition)], lag)
    yield from (ends, positions, lags)


def _of_this_process(standing: Standing) -> Iterator[Metric]:
    quarantined = CounterMetricFamily(
        "memfold_quarantined_records", "Records put aside by this process.", labels=["role"]
    )
    for role, count in standing.quarantined.items():
        quarantined.add_metric([role], count)
    yield quarantined
    states = GaugeMetricFamily(
        "memfold_breaker_state",
        "1 for the state that the endpoint's breaker is in.",
        labels=["endpoint", "state"],
    )
    for breaker in standing.breakers:
        for state in BREAKER_STATES:
            states.add_metric([breaker.endpoint, state], breaker.state == state)
    yield states
    if standing.pending is not None:
        yield GaugeMetricFamily(
            "memfold_pending_memories", "Memories that wait to be decided again.", value=standing.pending
        )
    yield CounterMetricFamily(
        "memfold_missed_reads", "Reads of this home that may not be on record.", value=standing.missed_reads
    )


def _of_the_seals(sealed: Sealed, now: float) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "memfold_seal_age_seconds", "Since the newest seal was made.", value=now - sealed.at
    )
    unsealed = GaugeMetricFamily(
        "memfold_unsealed_records", "Records that no seal covers yet.", labels=["topic", "partition"]
    )
    for (topic, partition), count in sealed.unsealed.items():
        unsealed.add_metric([topic, str(partition)], count)
    yield unsealed


def _of_the_verification(verified: Verified, now: float) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "memfold_verified_age_seconds",
        "Since the last `memfold audit verify` of this home.",
        value=now - verified.at,
    )
    yield GaugeMetricFamily("memfold_verify_findings", "What it found wrong.", value=verified.findings)


def _of_the_scrub(scrubbed: Scrubbed, now: float) -> Iterator[Metric]:
    yield CounterMetricFamily(
        "memfold_scrub_slices", "Slices of subjects compared with the log.", value=scrubbed.slices
    )
    found = GaugeMetricFamily(
        "memfold_scrub_differences", "What is served and is not what the log says.", labels=["projection"]
    )
    for projection in sorted({shard.projection for shard in scrubbed.shards}):
        mine = [shard for shard in scrubbed.shards if shard.projection == projection]
        found.add_metric([projection], sum(len(shard.differences) for shard in mine))
    yield found
    whole = [shard.whole_at for shard in scrubbed.shards if shard.whole_at is not None]
    if whole and len(whole) == len(scrubbed.shards):
        yield GaugeMetricFamily(
            "memfold_scrub_age_seconds",
            "Since the shard scrubbed longest ago was compared whole.",
            value=now - min(whole),
        )
