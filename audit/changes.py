"""State at a moment, and what changed between two, out of the folds of versions and relations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from memfold.audit.relation_fold import Asserted
from memfold.audit.version_fold import Version
from memfold.schemas.records import Scope

Told = dict[str, Any]


def state(versions: Iterable[Version], relations: Iterable[Asserted], scope: Scope, at: datetime) -> Told:
    """{at, results, relations}: what the memories of a scope said at a moment, and the relations that were held then."""
    return {
        "at": at.isoformat(),
        "results": [told_version(one) for one in versions if one.holds(at) and scope.covers(one.scope)],
        "relations": [
            told_relation(one) for one in relations if one.holds(at) and scope.covers(one.assertion.scope)
        ],
    }


def diff(
    versions: Sequence[Version], relations: Sequence[Asserted], scope: Scope, start: datetime, end: datetime
) -> Told:
    """{from, to, added, changed, gone, relations_begun, relations_ended}: two states compared, as git compares two trees.

    What came and went in between is in neither state, so it is no difference; `timeline` shows it.
    """
    before = {one.memory_id: one for one in versions if one.holds(start) and scope.covers(one.scope)}
    after = {one.memory_id: one for one in versions if one.holds(end) and scope.covers(one.scope)}
    mine = [one for one in relations if scope.covers(one.assertion.scope)]
    held_before = {one.assertion.assertion_id: one for one in mine if one.holds(start)}
    held_after = {one.assertion.assertion_id: one for one in mine if one.holds(end)}
    changed = [one for name, one in after.items() if name in before and before[name].version != one.version]
    return {
        "from": start.isoformat(),
        "to": end.isoformat(),
        "added": [told_version(one) for name, one in after.items() if name not in before],
        "changed": [{**told_version(one), "was": before[one.memory_id].text} for one in changed],
        "gone": [told_version(one) for name, one in before.items() if name not in after],
        "relations_begun": [
            told_relation(one) for name, one in held_after.items() if name not in held_before
        ],
        "relations_ended": [
            told_relation(one) for name, one in held_before.items() if name not in held_after
        ],
    }


def told_version(one: Version) -> Told:
    """A version, ready for JSON: id, memory, version, scope ids, and the event that made it."""
    said = one.said
    told: Told = {
        "id": one.memory_id,
        "memory": one.text,
        "version": one.version,
        "metadata": json.loads(said.metadata),
        "role": said.role,
        "kind": said.kind,
        "pending": said.pending,
        "when": said.when,
        "valid_from": one.valid_from.isoformat(),
        "valid_to": None if one.valid_to is None else one.valid_to.isoformat(),
        "event_id": one.event.envelope.record_id,
        "command_id": one.event.envelope.command_id,
        "partition": one.event.partition,
        "offset": one.event.offset,
    }
    ids = {name: getattr(one.scope, name) for name in one.scope.__struct_fields__}
    return told | {name: value for name, value in ids.items() if value is not None}


def told_relation(one: Asserted) -> Told:
    """A relation, ready for JSON, with the event that asserted it and, if it has ended, when."""
    held = one.assertion
    return {
        "source": held.source,
        "source_type": held.source_type,
        "relationship": held.relationship,
        "target": held.target,
        "target_type": held.target_type,
        "memory_id": held.memory_id,
        "assertion_id": held.assertion_id,
        "confidence": held.confidence,
        "asserted_at": held.since.isoformat(),
        "ended_at": None if one.ended_at is None else one.ended_at.isoformat(),
        "valid_from": None if held.valid_from is None else held.valid_from.isoformat(),
        "valid_to": None if one.valid_to is None else one.valid_to.isoformat(),
        "event_id": held.event_id,
        "command_id": held.command_id,
        "partition": held.partition,
        "offset": held.offset,
    }
