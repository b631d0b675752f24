"""The views that audit SQL can name, and what each of their columns means; docs/audit-views.md is made from this.

Clear views show the log as it stands, record by record, also what a retry wrote twice or somebody forged: nothing in them is
authenticated. Opened views are made from the records that could be opened and that count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa  # type: ignore[import-untyped]

_TEXT, _INT, _TIME, _FLAG, _REAL = pa.string(), pa.int64(), pa.timestamp("us"), pa.bool_(), pa.float64()
_TEXTS = pa.list_(pa.string())


class Column(NamedTuple):
    """`source`: what it is in the archive's columns, of a clear view."""

    name: str
    type: pa.DataType
    meaning: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """`since` says what `since` means for its rows. `topic` of a clear view: its rows are that topic's records."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    since: str
    topic: str = ""

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(column.name, column.type) for column in self.columns])


def _clear(record_id: str, what: str) -> tuple[Column, ...]:
    return (
        Column(record_id, _TEXT, f"UUID of the {what}.", "record_id"),
        Column("type", _TEXT, "Name of the body's schema: memories_decided, add_requested ...", "type"),
        Column("tenant", _TEXT, "Always the caller's.", "tenant"),
        Column("subject", _TEXT, "Random id of whose data it is; see the view subjects.", "subject"),
        Column("time", _TIME, "When the broker appended it (UTC).", "make_timestamp(timestamp_ms * 1000)"),
        Column(
            "written_at",
            _TIME,
            "The writer's own clock (UTC). Order is the offset, never this.",
            "occurred_at::TIMESTAMP",
        ),
        Column("partition", _INT, "With the offset: its place in the log.", "partition::BIGINT"),
        Column("offset", _INT, "Order inside the partition.", '"offset"'),
        Column(
            "memory_ids",
            _TEXTS,
            "The memories that it touches; '*' for a clear, which does not list them.",
            "memory_ids",
        ),
        Column("schema", _TEXT, "Fingerprint of the body's schema, as in events.md.", "body_schema"),
        Column("key_id", _TEXT, "Which key of the subject encrypts the body.", "key_id"),
        Column("bytes", _INT, "Length of the record's value.", "octet_length(value)::BIGINT"),
        Column(
            "leaf_hash", _TEXT, "Merkle leaf of the exact bytes (RFC 6962), hex.", "lower(hex(leaf_hash))"
        ),
    )


_EVENT_ONLY = (
    Column("command_id", _TEXT, "The command that it answers.", "command_id"),
    Column(
        "command_offset",
        _INT,
        "Where that command stands, in the same partition of memfold.commands.",
        "command_offset",
    ),
)
_PLACE = (
    Column("event_id", _TEXT, "The event that made the row."),
    Column("command_id", _TEXT, "The command behind it."),
    Column("partition", _INT, "Of the event."),
    Column("offset", _INT, "Of the event."),
)
_SCOPE = (
    Column("user_id", _TEXT, "Scope of the memory."),
    Column("agent_id", _TEXT, "Scope of the memory."),
    Column("run_id", _TEXT, "Scope of the memory."),
    Column("actor_id", _TEXT, "Scope of the memory."),
)
_VERSION = (
    Column("memory_id", _TEXT, "The memory."),
    Column("version", _INT, "1, 2, 3 ..."),
    Column("event", _TEXT, "ADD, UPDATE, DELETE or RESTORE (back after a DELETE)."),
    Column("text", _TEXT, "What it says in this version; null after DELETE."),
    Column("previous", _TEXT, "What it said before."),
    *_SCOPE,
    Column("role", _TEXT, "Who said it: user, assistant ..."),
    Column("kind", _TEXT, "One of the seven kinds of facts; empty: kept as it was said."),
    Column("pending", _FLAG, "Kept as it was said because a model had failed."),
    Column("when", _TEXT, "ISO date or start/end of what it tells."),
    Column("metadata", _TEXT, "A JSON object."),
    Column("said_at", _TIME, "When it was said, if the caller told (UTC)."),
    Column("valid_from", _TIME, "From when this was what the memory said (UTC)."),
    Column("valid_to", _TIME, "Until when; null: still."),
    Column("reason", _TEXT, "'clear' for delete_all and reset, else what the event gives."),
    Column("subject", _TEXT, "Random id of whose memory it is."),
    *_PLACE,
)

_VIEWS = (
    View("events", "Every record of memfold.events, in the clear columns of its envelope.",
         (*_clear("event_id", "event"), *_EVENT_ONLY), "appended at or after it", "memfold.events"),
    View("commands", "Every record of memfold.commands, in the clear columns of its envelope.",
         _clear("command_id", "command"), "appended at or after it", "memfold.commands"),
    View("versions", "One row a version of a memory.", _VERSION, "versions that began at or after it"),
    View("memories", "What memories say at the end of the bounds: the versions that are valid there.", _VERSION,
         "memories whose version began at or after it"),
    View("relations", "One row an assertion of a relation, still held or ended.", (
        Column("assertion_id", _TEXT, "The assertion."),
        Column("memory_id", _TEXT, "The memory that is its evidence."),
        Column("source", _TEXT, "As it was called."), Column("source_type", _TEXT, "PERSON, ORGANIZATION ..."),
        Column("source_entity", _TEXT, "Id of the entity inside the subject."),
        Column("relationship", _TEXT, "UPPER_SNAKE."),
        Column("target", _TEXT, "As it was called."), Column("target_type", _TEXT, "PERSON, ORGANIZATION ..."),
        Column("target_entity", _TEXT, "Id of the entity inside the subject."),
        Column("said_as", _TEXT, "What the model called the relationship, where that was folded into another name."),
        Column("confidence", _REAL, "0 to 1."),
        Column("asserted_at", _TIME, "When the log learnt it (UTC)."),
        Column("ended_at", _TIME, "When the log learnt that it ended; null: it holds."),
        Column("valid_from", _TIME, "When it began to be true, if that was said."),
        Column("valid_to", _TIME, "When it stopped being true, if that was said."),
        *_SCOPE, Column("subject", _TEXT, "Random id of whose relation it is."), *_PLACE,
    ), "asserted or ended at or after it"),
    View("model_calls", "Every call of a model, in the event that its answer led to.", (
        *_PLACE, Column("ordinal", _INT, "Of the call in its event."), Column("subject", _TEXT, "Whose data the model saw."),
        Column("time", _TIME, "Of the event (UTC)."),
        Column("outcome", _TEXT, "Of the event: decided, rejected or degraded."),
        Column("purpose", _TEXT, "extract, decide or embed."), Column("provider", _TEXT, "Of the model."),
        Column("model", _TEXT, "Its name."),
        Column("prompt_hash", _TEXT, "SHA-256 of the prompt."), Column("prompt_version", _TEXT, "Name and version of the prompt."),
        Column("answer", _TEXT, "As it came, cut at 64 KiB."),
        Column("input_tokens", _INT, "As the provider counts."), Column("output_tokens", _INT, "As the provider counts."),
        Column("latency_ms", _REAL, "Of the call with its attempts."), Column("attempts", _INT, "1: at once."),
        Column("error", _TEXT, "Why it failed; empty: it did not."), Column("shown", _TEXTS, "Ids of the memories that the model saw."),
    ), "in events at or after it"),
    View("reads", "One row a subject of a read: a call that gave memories of two users has two, with one read_id.", (
        Column("read_id", _TEXT, "The call."), Column("time", _TIME, "When it was recorded (UTC)."),
        Column("actor", _TEXT, "Who read, as the client said."), Column("purpose", _TEXT, "What for, as the caller said."),
        Column("verb", _TEXT, "search, get, get_all, history, sql ..."), Column("decision", _TEXT, "allowed, denied or failed."),
        Column("error", _TEXT, "Class of the error that the caller got; empty if allowed."),
        Column("count", _INT, "Results of the answer, whoever they belong to."),
        Column("memory_ids", _TEXTS, "The subject's memories that came back; '*': any may have (export, sparql, above 10,000)."),
        Column("query_hash", _TEXT, "HMAC-SHA256 of the text or id asked for, hex; the same for the same text in one deployment."),
        Column("agent_id", _TEXT, "Asked for."), Column("run_id", _TEXT, "Asked for."),
        Column("as_of", _TIME, "The moment that was asked about; null: now."),
        Column("duration_ms", _REAL, "From the call to its answer, without the recording."),
        Column("strict", _FLAG, "Whether the answer was held back until this event was acknowledged."),
        Column("subject", _TEXT, "Random id of whose memories were read; the tenant's own where nobody's were."),
        Column("event_id", _TEXT, "The read event."), Column("partition", _INT, "In memfold.access."),
        Column("offset", _INT, "In memfold.access."),
    ), "recorded at or after it"),
    View("quarantine", "Records that a worker could not trust or read. Not narrowed to a user: nobody knows whose they are.", (
        Column("topic", _TEXT, "Where it was."), Column("partition", _INT, "Where it was."), Column("offset", _INT, "Where it was."),
        Column("time", _TIME, "When it was appended there (UTC)."), Column("quarantined_at", _TIME, "When it was put aside (UTC)."),
        Column("role", _TEXT, "The worker that put it aside."), Column("reason", _TEXT, "Why."),
        Column("record_id", _TEXT, "What it says of itself, if it is an envelope at all."),
        Column("subject", _TEXT, "What it says of itself."), Column("bytes", _INT, "Length of its value."),
        Column("leaf_hash", _TEXT, "Merkle leaf of its exact bytes, hex."),
    ), "put aside at or after it"),
    View("subjects", "Who the random ids are: from the key store, of the caller's tenant only.", (
        Column("subject", _TEXT, "The random id."), Column("kind", _TEXT, "user, agent, run or tenant."),
        Column("id", _TEXT, "The id that callers use; null: erased."),
    ), "no effect"),
)  # fmt: skip
VIEWS = {view.name: view for view in _VIEWS}
