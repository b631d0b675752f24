"""What passes by in a worker, counted for Prometheus: decided commands, operations, and model calls with what they took.

Labels are roles, operations, providers and models; nothing that a person said or is called.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from memfold.schemas.records import MemoriesDecided

_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


class Metering:
    """One per worker process; the counters start at nothing with it, as Prometheus expects."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._commands = Counter(
            "memfold_commands_decided", "Commands that got their event.", ["outcome"], registry=self.registry
        )
        self._operations = Counter(
            "memfold_operations", "What became of facts.", ["operation"], registry=self.registry
        )
        self._calls = Histogram(
            "memfold_model_call_seconds",
            "What a model call took, with its retries.",
            ["purpose", "provider", "model", "failed"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._tokens = Counter(
            "memfold_model_tokens",
            "As the endpoint counts them.",
            ["provider", "model", "direction"],
            registry=self.registry,
        )

    def decided(self, body: MemoriesDecided) -> None:
        """A command has its event."""
        self._commands.labels(body.outcome).inc()
        for operation in body.operations:
            self._operations.labels(operation.op).inc()
        for call in body.calls:
            failed = "yes" if call.error else "no"
            self._calls.labels(call.purpose, call.provider, call.model, failed).observe(
                call.latency_ms / 1000
            )
            self._tokens.labels(call.provider, call.model, "in").inc(call.input_tokens)
            self._tokens.labels(call.provider, call.model, "out").inc(call.output_tokens)
