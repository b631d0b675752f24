"""Events as lines of a log and of a timeline: what each did, in words, with its place."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from memfold.audit.bounds import Bounds, Directory, millis
from memfold.audit.relation_fold import Asserted
from memfold.audit.version_fold import Version
from memfold.schemas.records import Event

Entry = dict[str, Any]


def log_entry(event: Event, directory: Directory) -> Entry:
    """An event as `audit log` shows it: {event_id, at, partition, offset, command_id, subject, who, outcome, reason, did, calls}."""
    envelope, body = event.envelope, event.body
    did = [f"{done.op} {done.text}" for done in body.operations]
    did += [f"{one.op} {one.source} {one.relationship} {one.target}" for one in body.relations]
    did += ["CLEAR the tenant" if clear.whole_tenant else "CLEAR a scope" for clear in body.clears]
    return {
        "event_id": envelope.record_id,
        "at": event.recorded_at.isoformat(),
        "partition": event.partition,
        "offset": event.offset,
        "command_id": envelope.command_id,
        "subject": envelope.subject,
        "who": directory.name_of(envelope.subject),
        "outcome": body.outcome,
        "reason": body.reason,
        "memory_ids": [done.memory_id for done in body.operations],
        "did": did,
        "calls": len(body.calls),
    }


def timeline_entries(
    versions: Iterable[Version], relations: Iterable[Asserted], bounds: Bounds
) -> list[Entry]:
    """What happened inside the bounds, in log order: memories ADD, UPDATE and DELETE, relations BEGIN and END.

    A relation names the event that asserted it; when it ended is told by `at`.
    """
    found: list[tuple[datetime, int, Entry]] = []
    for one in versions:
        if bounds.scope.covers(one.scope):
            found.append((one.valid_from, one.event.offset, _version(one)))
    for held in relations:
        if bounds.scope.covers(held.assertion.scope):
            found.append(
                (held.assertion.since, held.assertion.offset, _relation("BEGIN", held, held.assertion.since))
            )
            if held.ended_at is not None:
                found.append((held.ended_at, held.assertion.offset, _relation("END", held, held.ended_at)))
    inside = [one for one in found if bounds.since is None or millis(one[0]) >= bounds.since]
    return [entry for _, _, entry in sorted(inside, key=lambda one: one[:2])]


def _version(one: Version) -> Entry:
    return {
        "at": one.valid_from.isoformat(),
        "what": one.op,
        "memory_id": one.memory_id,
        "version": one.version,
        "text": one.text,
        "previous": one.previous,
        "reason": one.reason,
        "event_id": one.event.envelope.record_id,
        "command_id": one.event.envelope.command_id,
        "partition": one.event.partition,
        "offset": one.event.offset,
    }


def _relation(what: str, one: Asserted, at: datetime) -> Entry:
    held = one.assertion
    return {
        "at": at.isoformat(),
        "what": what,
        "memory_id": held.memory_id,
        "text": f"{held.source} {held.relationship} {held.target}",
        "assertion_id": held.assertion_id,
        "asserted_by": held.event_id,
    }
