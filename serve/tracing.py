"""Whether a process sends traces, and where to: memfold's own setting first, then OpenTelemetry's variables (docs/traces.md).

OpenTelemetry is imported where traces are on, and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from memfold.memory.errors import InvalidInput
from memfold.serve.settings import Settings

if TYPE_CHECKING:
    from memfold.serve.otel_traces import OtelTraces

logger = logging.getLogger(__name__)

SPOKEN = "http/protobuf"
_MISSING = 'OpenTelemetry is not installed: pip install "memfold[otel]"'


class Tracing:
    """The traces of one process, or of one caller in it; opened when they are first asked for."""

    def __init__(self, settings: Settings, service: str) -> None:
        """`service`: the name of whoever sends, unless OTEL_SERVICE_NAME gives another."""
        self._settings, self._service = settings, service
        self._opened = False
        self._traces: OtelTraces | None = None

    def traces(self) -> OtelTraces | None:
        """None where traces are off. Raises InvalidInput where a setting wants them and OpenTelemetry is not installed."""
        if not self._opened:
            self._traces = _opened(self._settings, self._service)
            self._opened = True
        return self._traces

    async def close(self) -> None:
        """What is on its way is sent, if that takes no longer than a moment. May be opened again."""
        traces, self._traces, self._opened = self._traces, None, False
        if traces is not None:
            await asyncio.to_thread(traces.close)


def _opened(settings: Settings, service: str) -> OtelTraces | None:
    endpoint = endpoint_of(settings)
    if endpoint is None:
        return None
    try:
        from memfold.serve.otel_traces import OtelTraces
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != "opentelemetry":
            raise
        if settings.otel_endpoint is None:
            # The variable may be meant for others who run here.
            logger.warning("OTEL_EXPORTER_OTLP_ENDPOINT is set, and memfold sends no traces: %s", _MISSING)
            return None
        raise InvalidInput(
            f"MEMFOLD_OTEL_ENDPOINT is {settings.otel_endpoint}, and {_MISSING}, or unset it"
        ) from missing
    return OtelTraces(endpoint, service)


def endpoint_of(settings: Settings) -> str | None:
    """The address that spans are posted to; None where traces are off."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if settings.otel_endpoint:
        return _with_path(settings.otel_endpoint)
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip()
    base = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    if not endpoint and not base:
        return None
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL", SPOKEN
    )
    if protocol != SPOKEN:
        logger.warning(
            "OTEL_EXPORTER_OTLP_PROTOCOL is %s, and memfold sends no traces: it speaks %s. Where the collector takes that, "
            "set MEMFOLD_OTEL_ENDPOINT to its address",
            protocol,
            SPOKEN,
        )
        return None
    return endpoint or _with_path(base)


def _with_path(base: str) -> str:
    return base.rstrip("/").removesuffix("/v1/traces") + "/v1/traces"
