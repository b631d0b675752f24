"""The stored fold beside a plain one: lists and loops, one event at a time, nothing shared with the code under test."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import lancedb
import msgspec
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from memfold.projections.base import Position, fenced
from memfold.projections.vector import VectorShard
from memfold.schemas.records import Event, RelationChange
from tests.projections.shard_contract import feed
from tests.strategies import DIMENSIONS, EPOCH, batches, histories, history, randoms

Version = dict[str, Any]


def plain_fold(events: Sequence[Event]) -> list[Version]:
    versions: list[Version] = []
    for event in events:
        tenant, subject = event.envelope.tenant, event.envelope.subject
        for clear in event.body.clears:
            for version in versions:
                asked = [
                    mine is None or mine == theirs
                    for mine, theirs in zip(clear.scope.ids(), version["scope"], strict=True)
                ]
                inside = version["subject"] == subject and all(asked)
                if (
                    version["valid_to"] is None
                    and version["tenant"] == tenant
                    and (clear.whole_tenant or inside)
                ):
                    version["valid_to"] = max(event.recorded_at, version["valid_from"])
        for ordinal, done in enumerate(event.body.operations):
            mine = [version for version in versions if version["memory_id"] == done.memory_id]
            old = next(
                (v for v in mine if (v["valid_to"], v["tenant"], v["subject"]) == (None, tenant, subject)),
                None,
            )
            gone = next((v for v in mine if v["version"] == max(one["version"] for one in mine)), None)
            if done.op == "RESTORE":
                if (
                    gone is None
                    or gone["valid_to"] is None
                    or (gone["tenant"], gone["subject"]) != (tenant, subject)
                ):
                    continue
                old = {**gone, "relations": [], "valid_to": max(event.recorded_at, gone["valid_to"])}
            elif (done.op == "ADD" and mine) or (done.op != "ADD" and old is None) or done.op == "NONE":
                continue
            if old is not None and done.op != "RESTORE":
                old["valid_to"] = max(event.recorded_at, old["valid_from"])
            if done.op == "DELETE":
                continue
            said_at = done.said_at or event.recorded_at
            versions.append(
                {
                    "tenant": tenant,
                    "subject": subject,
                    "memory_id": done.memory_id,
                    "version": done.version if old is None else max(done.version, old["version"] + 1),
                    "text": done.text,
                    "scope": done.scope.ids(),
                    "role": done.role,
                    "metadata": done.metadata,
                    "relations": [] if old is None else list(old["relations"]),
                    "created_at": said_at if old is None else old["created_at"],
                    "updated_at": said_at,
                    "valid_from": event.recorded_at if old is None else old["valid_to"],
                    "valid_to": None,
                    "said_at": done.said_at,
                    "vector": done.vector,
                    "kind": done.kind,
                    "pending": done.pending,
                    "said": done.said,
                    "said_count": done.said_count,
                    "when": done.when,
                    "added_offset": event.offset if old is None else old["added_offset"],
                    "ordinal": ordinal if old is None else old["ordinal"],
                }
            )
        for change in event.body.relations:
            for version in versions:
                at_home = (version["memory_id"], version["tenant"], version["subject"]) == (
                    change.memory_id,
                    tenant,
                    subject,
                )
                if version["valid_to"] is None and at_home:
                    kept = [
                        held for held in version["relations"] if held["assertion_id"] != change.assertion_id
                    ]
                    version["relations"] = kept + [msgspec.to_builtins(change)] * (change.op == "ASSERT")
    return sorted(versions, key=lambda version: (version["memory_id"], version["version"]))


def stored(path: Path) -> list[Version]:
    """What lies in the table, read without memfold."""
    found = lancedb.connect(path).open_table("memories").search().to_arrow().to_pylist()
    versions = []
    for row in found:
        if row["memory_id"] is None:
            continue
        assert row.pop("row_id") == f"{row['memory_id']}:{row['version']}"
        row.pop("evt_offset")
        row["scope"] = tuple(row.pop(name) for name in ("user_id", "agent_id", "run_id", "actor_id"))
        row["relations"] = [
            msgspec.to_builtins(msgspec.convert(r, RelationChange)) for r in json.loads(row["relations"])
        ]
        vector = row.pop("vector")
        row["vector"] = None if vector is None else struct.pack(f"<{DIMENSIONS}e", *vector)
        versions.append(row)
    return sorted(versions, key=lambda version: (version["memory_id"], version["version"]))


def meddled(events: Sequence[Event], random: Random) -> list[Event]:
    """The same events with operations that do not fit: ids of others, versions that are taken, additions of what was there."""
    ids = [done.memory_id for event in events for done in event.body.operations]
    made = []
    for event in events:
        operations = [
            replace(
                done,
                op=random.choice(["ADD", "UPDATE", "DELETE", "RESTORE", done.op]),
                memory_id=random.choice([done.memory_id, random.choice(ids)]),
                version=random.randint(1, 4),
                vector=random.choice([done.vector, None]),
            )
            for done in event.body.operations
        ]
        clock = event.recorded_at - timedelta(milliseconds=random.choice([0, 0, 90]))
        made.append(replace(event, recorded_at=clock, body=replace(event.body, operations=operations)))
    return made


def assert_equal_to_plain(events: list[Event], random: Random) -> None:
    with TemporaryDirectory() as folder:
        with closing(VectorShard(Path(folder) / "p0000", 0, DIMENSIONS)) as shard:
            for batch in batches(events, random):
                feed(shard, batch)
        assert stored(Path(folder) / "p0000") == plain_fold(fenced(events, Position())[0])


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(histories(), randoms())
def test_any_history_in_any_batches_is_the_plain_fold(events: list[Event], random: Random) -> None:
    assert_equal_to_plain(events, random)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(histories(), randoms())
def test_what_does_not_fit_is_ignored_whatever_the_batches(events: list[Event], random: Random) -> None:
    assert_equal_to_plain(meddled(events, random), random)


def test_a_long_history_with_upkeep_in_between(tmp_path: Path) -> None:
    events = history(Random(7), 400)
    with closing(VectorShard(tmp_path / "p0000", 0, DIMENSIONS)) as shard:
        for number in range(0, len(events), 3):
            feed(shard, events[number : number + 3])
    assert stored(tmp_path / "p0000") == plain_fold(fenced(events, Position())[0])


def test_one_version_at_any_time() -> None:
    """`as_of` is a filter, valid_from <= t < valid_to: it finds what was current after the last event up to t, and nothing twice."""
    events, _ = fenced(meddled(history(Random(3), 120), Random(3)), Position())
    versions = plain_fold(events)
    moments: list[datetime] = sorted({event.recorded_at for event in events})
    for moment in [EPOCH - timedelta(days=1), *moments, moments[-1] + timedelta(days=1)]:
        valid = [
            version["memory_id"]
            for version in versions
            if version["valid_from"] <= moment
            and (version["valid_to"] is None or moment < version["valid_to"])
        ]
        assert len(valid) == len(set(valid))
