"""A collector as OTLP/HTTP describes one: takes spans by POST, keeps them, and gives the traces that were asked for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Received:
    """One span; ids in hex, `parent` empty for a root."""

    name: str
    service: str
    trace: str
    id: str
    parent: str
    failed: bool
    attributes: dict[str, Any]
    notes: list[tuple[str, dict[str, Any]]]
    began: int
    ended: int


class OtlpReceiver:
    """Use in a `with`; `url` is what MEMFOLD_OTEL_ENDPOINT names."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self._spans: list[Received] = []
        self._came = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                known = self.path == "/v1/traces" and self.headers["Content-Type"] == "application/x-protobuf"
                if known:
                    receiver.take(body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200 if known else 404)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self, body: bytes) -> None:
        found = [
            _received(span, _plain(resource.resource.attributes)["service.name"])
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        with self._came:
            self.bodies.append(body)
            self._spans += found
            self._came.notify_all()

    async def span(self, wanted: Callable[[Received], bool]) -> Received:
        """The first that is wanted, as soon as it is there."""
        return await asyncio.to_thread(self._wait, lambda: next(filter(wanted, self._spans), None))

    async def decision_of(self, command_id: str) -> Received:
        return await self.span(
            lambda span: span.name == "decide" and span.attributes["memfold.command_id"] == command_id
        )

    async def trace(self, trace: str, names: set[str]) -> dict[str, Received]:
        """Its spans by name, as soon as all names are there; each may be there once."""

        def complete() -> list[Received] | None:
            spans = [span for span in self._spans if span.trace == trace]
            return spans if names <= {span.name for span in spans} else None

        spans = await asyncio.to_thread(self._wait, complete)
        assert len(spans) == len({span.name for span in spans}), [span.name for span in spans]
        return {span.name: span for span in spans}

    def _wait(self, found: Callable[[], Any]) -> Any:
        with self._came:
            assert self._came.wait_for(lambda: found() is not None, PATIENCE), [s.name for s in self._spans]
            return found()

    def __enter__(self) -> OtlpReceiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _received(span: Any, service: str) -> Received:
    return Received(
        span.name,
        service,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.status.code == span.status.STATUS_CODE_ERROR,
        _plain(span.attributes),
        [(event.name, _plain(event.attributes)) for event in span.events],
        span.start_time_unix_nano,
        span.end_time_unix_nano,
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
