"""Spans, as the streams know them: what became of one call, from `add` through `decide` to every projection, is one trace (ADR 40).

The context of a span travels as W3C `traceparent` in a header of the Kafka record, beside its key and its value: no event changes
by it, and what is not followed live (the archive, a rebuild, a restored log) knows nothing of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import LogRecord, MemoriesDecided

HEADER = "traceparent"
LIVE = 3600.0
"""Seconds: an older record is history that is read again, and begins no span in a trace that nobody looks at any more."""

Attributes = Mapping[str, str | int]
"""Ids of commands, partitions, offsets and counts: nothing that a person said, or is called."""


class Span(Protocol):
    @property
    def traceparent(self) -> bytes:
        """Its context, for the record that others continue from."""
        ...

    def tell(self, attributes: Attributes) -> None: ...
    def note(self, name: str, attributes: Attributes) -> None:
        """Something that happened at this moment of the span."""
        ...

    def end(self, attributes: Attributes) -> None: ...


class Traces(Protocol):
    """Takes spans. Promises to raise nothing and to wait for nobody; not that a span is ever seen: what is too much is dropped."""

    def begin(self, name: str, parent: bytes, attributes: Attributes, started_ns: int | None = None) -> Span:
        """A child of the context in `parent`, or the root of a trace where that holds none."""
        ...

    def verb(self, name: str) -> AbstractContextManager[None]:
        """A caller's verb: a child of the span that the caller is in. A failure leaves its class in it, never its message."""
        ...

    def current(self) -> Span | None:
        """The verb that is going on."""
        ...


Headers = Mapping[str, Any] | Iterable[tuple[str, Any]] | None
"""As Kafka's clients give them: values are bytes, text or None."""


def traceparent_in(headers: Headers) -> bytes:
    """The context in a record's headers; empty for none. Not checked: whoever may write to the topic wrote it."""
    for name, value in headers.items() if isinstance(headers, Mapping) else headers or ():
        if name == HEADER and value:
            return value if isinstance(value, bytes) else str(value).encode()
    return b""


def trace_applied(traces: Traces | None, role: str, records: Sequence[LogRecord], started_ns: int) -> None:
    """A span of each event of a batch that is in the projection now: a child of its decision. `started_ns`: the batch's."""
    if traces is None:
        return
    oldest = (time.time() - LIVE) * 1000
    for record in records:
        if record.traceparent and record.topic == EVENTS and record.timestamp_ms >= oldest:
            at: Attributes = {
                "memfold.partition": record.partition,
                "memfold.event_offset": record.offset,
                "memfold.batch": len(records),
            }
            traces.begin(role, record.traceparent, at, started_ns).end({})


def of_decision(body: MemoriesDecided) -> Attributes:
    """What a span tells of a decision."""
    return {
        "memfold.outcome": body.outcome,
        "memfold.operations": len(body.operations),
        "memfold.relations": len(body.relations),
        "memfold.model_calls": len(body.calls),
        "memfold.model_ms": round(sum(call.latency_ms for call in body.calls)),
    }
