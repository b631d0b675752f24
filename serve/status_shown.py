"""The status as a person reads it: tables, then a line for each thing there is one of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from memfold.serve.cli_options import table_of
from memfold.serve.status import Rates, Status

DIFFERENCES_TOLD = 5
PARTITIONS_TOLD = 16
"""With more, only those that are behind are named, the worst first, and of them half as many."""


def shown(found: Status, rates: Rates | None = None) -> Group:
    """With `rates`, also how many records each role takes a second, and where it is behind."""
    return Group(*_tables(found, rates), *_lines(found))


def _tables(found: Status, rates: Rates | None) -> Iterator[RenderableType]:
    processes = [[p["role"], p["state"], p["pid"], p["restarts"]] for p in found["processes"]]
    yield table_of("processes", ["role", "state", "pid", "restarts"], processes)
    topics = [[name, t["partitions"], t["records"]] for name, t in found["topics"].items()]
    yield table_of("topics", ["topic", "partitions", "records"], topics)
    columns, rows = ["role", "runs", "lag", "generation", "embedder"], []
    for role in found["roles"]:
        row = [
            role["role"],
            "yes" if role["running"] else "NO",
            role["lag"],
            role.get("generation"),
            role.get("embedder"),
        ]
        if rates is not None:
            row[3:3] = [f"{rates.a_second.get(role['role'], 0.0):,.0f}", _behind(role["lag_by_partition"])]
        rows.append(row)
    if rates is not None:
        columns[3:3] = ["a second", "lag by partition"]
    yield table_of("roles", columns, rows)
    if found["breakers"]:
        breakers = [
            [b["endpoint"], b["state"], b["failures"], b["tried_again_at"]] for b in found["breakers"]
        ]
        yield table_of(
            "model endpoints",
            ["endpoint", "circuit breaker", "failures in a row", "tried again at"],
            breakers,
        )


def _behind(lags: Sequence[int]) -> str:
    if len(lags) <= PARTITIONS_TOLD:
        return " ".join(map(str, lags))
    worst = sorted(enumerate(lags), key=lambda one: -one[1])[: PARTITIONS_TOLD // 2]
    return ", ".join(f"{partition}: {lag}" for partition, lag in worst if lag) or "none"


def _lines(found: Status) -> Iterator[Text]:
    if found["pending"] != 0:
        waiting = "cannot be read" if found["pending"] is None else found["pending"]
        yield Text(f"pending: {waiting}; `memfold retry` decides again what a model failed at")
    if found["missed_reads"]:
        yield Text(
            f"reads that may not be on record: {found['missed_reads']}; see logs/missed-reads.log in the home"
        )
    sealed = found["sealed"]
    yield Text(
        f"sealed: at {sealed['until']}, {sealed['unsealed']} records since"
        if sealed
        else "sealed: nothing yet"
    )
    yield _verified(found["verified"])
    yield from _scrubbed(found["scrubbed"])
    yield Text(f"quarantined since the workers started: {found['quarantined']}")


def _verified(verified: dict[str, Any] | None) -> Text:
    if verified is None:
        return Text("verified: never; `memfold audit verify` does")
    against = "with Kafka" if verified["compared"] else "archive and seals only"
    held = f"{verified['findings']} FINDINGS" if verified["findings"] else "everything held"
    return Text(f"verified: at {verified['at']}, {verified['records']} records, {against}: {held}")


def _scrubbed(scrubbed: dict[str, Any] | None) -> Iterator[Text]:
    if scrubbed is None:
        return
    differences = scrubbed["differences"]
    if scrubbed["refused"]:
        said = f"not at present: {scrubbed['refused']}"
    elif scrubbed["whole_since"] is None:
        said = f"{scrubbed['whole']} of {scrubbed['shards']} shards compared whole with the log so far"
    else:
        since = datetime.fromtimestamp(scrubbed["whole_since"], UTC).isoformat(timespec="seconds")
        said = f"all {scrubbed['shards']} shards compared whole with the log, the longest ago at {since}"
    yield Text(f"scrubbed: {said}: {f'{len(differences)} DIFFERENCES' if differences else 'everything held'}")
    for one in differences[:DIFFERENCES_TOLD]:
        whose = f"memory {one['memory_id']}, " if one["memory_id"] else ""
        where = f"  {one['projection']}/{one['partition']}: {whose}{one['part']}: {one['what']}"
        yield Text(f"{where}, of the event at offset {one['offset']}")
    if differences:
        yield Text("  `memfold replay verify --repair` serves what the log says")
