"""How a process logs, on standard error: lines for people, or one JSON object a line for whoever collects them.

What people said, and who they are, is in no log line: messages name memories, events, partitions and offsets only.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import Literal, get_args

from pythonjsonlogger.json import JsonFormatter

from memfold.memory.errors import InvalidInput

LogFormat = Literal["text", "json"]
VARIABLE = "MEMFOLD_LOG_FORMAT"
# Faust logs under the name of its subclass's module.
_NOISY = ("faust", "mode", "aiokafka", "httpx", "httpx2", "asyncio", "memfold.streams.positioned")
_SELDOM = {"opentelemetry": 60.0, "aiokafka": 10.0}
"""Whose lines, and seconds: a collector that is away is told of for every batch of spans, and a broker that is away over a hundred
times a second, for as long as it is away.
"""


def log_to_stderr() -> None:
    """From here on, in the format that the environment names: before any setting is read, so that reading them can be logged.

    Raises InvalidInput.
    """
    form = os.environ.get(VARIABLE, "text")
    if form not in get_args(LogFormat):
        raise InvalidInput(f"{VARIABLE} is {form!r}; it is one of {', '.join(get_args(LogFormat))}")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_json() if form == "json" else _text())
    handler.addFilter(_Seldom())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.ERROR)


class _Seldom(logging.Filter):
    """Lets the same line of such a library through once in a while, whatever it names."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        every = _SELDOM.get(record.name.partition(".")[0])
        if every is None:
            return True
        now, line = time.monotonic(), str(record.msg)
        if now - self._told.get(line, -every) < every:
            return False
        self._told[line] = now
        return True


def _text() -> logging.Formatter:
    return logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")


def _json() -> logging.Formatter:
    """`at` (UTC, ISO 8601), level, logger, message, pid, worker, and what a call gave as `extra`: role, topic, partition, offset."""
    return JsonFormatter(
        "%(levelname)s %(name)s %(message)s %(process)d",
        rename_fields={"levelname": "level", "name": "logger", "process": "pid", "timestamp": "at"},
        static_fields={"worker": os.environ.get("MEMFOLD_ROLE", "")},
        timestamp=True,
    )
