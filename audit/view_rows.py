"""The rows of the opened views, out of events."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from memfold.audit.bounds import Bounds, millis
from memfold.audit.relation_fold import Asserted
from memfold.audit.version_fold import Version
from memfold.schemas.records import Event, Scope

Row = dict[str, Any]


def version_rows(versions: Iterable[Version], bounds: Bounds) -> list[Row]:
    """Rows of `versions` (and of `memories`) for those inside the bounds."""
    return [_version(one) for one in versions if _inside(one.scope, one.valid_from, bounds, one.memory_id)]


def relation_rows(relations: Iterable[Asserted], bounds: Bounds) -> list[Row]:
    return [
        _relation(one)
        for one in relations
        if _inside(one.assertion.scope, one.ended_at or one.assertion.since, bounds, one.assertion.memory_id)
    ]


def call_rows(events: Iterable[Event], bounds: Bounds) -> list[Row]:
    return [
        {
            **_place(event),
            "ordinal": ordinal,
            "subject": event.envelope.subject,
            "time": naive(event.recorded_at),
            "outcome": event.body.outcome,
            **{name: getattr(call, name) for name in call.__struct_fields__},
        }
        for event in events
        if bounds.since is None or millis(event.recorded_at) >= bounds.since
        for ordinal, call in enumerate(event.body.calls)
    ]


def _inside(scope: Scope, moment: datetime, bounds: Bounds, memory_id: str) -> bool:
    late = bounds.since is None or millis(moment) >= bounds.since
    return late and bounds.scope.covers(scope) and bounds.memory_id in (None, memory_id)


def _version(one: Version) -> Row:
    said = one.said
    return {
        "memory_id": one.memory_id,
        "version": one.version,
        "event": one.op,
        "text": one.text,
        "previous": one.previous,
        **_scope(one.scope),
        "role": said.role,
        "kind": said.kind,
        "pending": said.pending and one.text is not None,
        "when": said.when,
        "metadata": said.metadata,
        "said_at": naive(said.said_at),
        "valid_from": naive(one.valid_from),
        "valid_to": naive(one.valid_to),
        "reason": one.reason,
        "subject": one.subject,
        **_place(one.event),
    }


def _relation(one: Asserted) -> Row:
    assertion = one.assertion
    names = ("assertion_id", "memory_id", "source", "source_type", "source_entity", "relationship", "target", "target_type",
             "target_entity", "said_as", "confidence", "event_id", "command_id", "partition", "offset")  # fmt: skip
    return {
        **{name: getattr(assertion, name) for name in names},
        "asserted_at": naive(assertion.since),
        "ended_at": naive(one.ended_at),
        "valid_from": naive(assertion.valid_from),
        "valid_to": naive(one.valid_to),
        **_scope(assertion.scope),
        "subject": one.subject,
    }


def _scope(scope: Scope) -> Row:
    return {name: getattr(scope, name) for name in scope.__struct_fields__}


def _place(event: Event) -> Row:
    envelope = event.envelope
    return {
        "event_id": envelope.record_id,
        "command_id": envelope.command_id,
        "partition": event.partition,
        "offset": event.offset,
    }


def naive(moment: datetime | None) -> datetime | None:
    """In UTC, without saying so: DuckDB compares such a column with '2026-03-01' without an extension for time zones."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)
