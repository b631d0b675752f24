"""Traces by OpenTelemetry: spans go into a bounded queue, and a thread of their own posts them to a collector.

The SDK's own variables hold (OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, OTEL_BSP_*, OTEL_EXPORTER_OTLP_HEADERS). Its provider is memfold's
alone: an application that has another one keeps it, and what memfold does in a span of the application is a child of that.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from memfold import __version__
from memfold.streams.traces import HEADER, Attributes, Span

CLOSING = 2.0
"""Seconds that closing waits for the collector."""

_propagator = TraceContextTextMapPropagator()
_verb: ContextVar[OtelSpan | None] = ContextVar("memfold_verb", default=None)


class OtelSpan:
    """Implements Span."""

    __slots__ = ("_span",)

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> bytes:
        carrier: dict[str, str] = {}
        _propagator.inject(carrier, trace.set_span_in_context(self._span, Context()))
        return carrier.get(HEADER, "").encode()

    def tell(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def note(self, name: str, attributes: Attributes) -> None:
        self._span.add_event(name, attributes)

    def end(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)
        self._span.end()


class OtelTraces:
    """Implements Traces. `close` it; what the collector has not taken by then is dropped."""

    def __init__(self, endpoint: str, service: str) -> None:
        """`endpoint`: the full address that spans are posted to."""
        self._exporter = OTLPSpanExporter(endpoint=endpoint)
        # Not `Resource.create`: a detector that is installed beside it might tell command lines and names of people.
        resource = Resource({"service.name": service, "service.version": __version__}).merge(
            OTELResourceDetector().detect()
        )
        # Nothing at exit: the SDK would wait there for a collector that does not answer.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("memfold", __version__)

    def begin(self, name: str, parent: bytes, attributes: Attributes, started_ns: int | None = None) -> Span:
        context = Context()
        if parent:
            # Of anybody who may write to the topic: what is no context is none.
            context = _propagator.extract({HEADER: parent.decode("ascii", "replace")}, context)
        return OtelSpan(
            self._tracer.start_span(name, context, trace.SpanKind.CONSUMER, attributes, start_time=started_ns)
        )

    @contextmanager
    def verb(self, name: str) -> Iterator[None]:
        with self._tracer.start_as_current_span(
            name, record_exception=False, set_status_on_exception=False
        ) as span:
            token = _verb.set(OtelSpan(span))
            try:
                yield
            except BaseException as failure:
                # Its class and no more: messages repeat what was asked for.
                span.set_attribute("error.type", type(failure).__name__)
                span.set_status(trace.StatusCode.ERROR)
                raise
            finally:
                _verb.reset(token)

    def current(self) -> Span | None:
        return _verb.get()

    def close(self) -> None:
        """Send what is left, for at most CLOSING seconds."""
        ending = threading.Thread(target=self._provider.shutdown, name="memfold-traces-end", daemon=True)
        ending.start()
        ending.join(CLOSING)
        if ending.is_alive():
            # Ends its waiting between two attempts, so that the threads end soon after.
            self._exporter.shutdown()  # type: ignore[no-untyped-call]
