"""Records that cannot be trusted or read: kept as they are on memfold.quarantine, with where they were and why.

The key says where (topic/partition/offset), so a record that is quarantined again after a crash is seen to be the same one. The
reason stands in the value before the bytes, one JSON line: a consumer needs no schema to read it.
"""

from __future__ import annotations

import json
import logging

from memfold.schemas.partitions import QUARANTINE
from memfold.schemas.records import LogRecord
from memfold.streams.writer import LogWriter

logger = logging.getLogger(__name__)


class Quarantine:
    """Puts records aside. When that fails, it raises: a record is never dropped."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer
        self.counts: dict[str, int] = {}
        """Records put aside by this process, by role."""

    async def put(self, record: LogRecord, role: str, reason: str) -> None:
        """Durable when it returns. Raises NotWritten, WriteUnknown."""
        where = f"{record.topic}/{record.partition}/{record.offset}"
        place = {"role": role, "topic": record.topic, "partition": record.partition, "offset": record.offset}
        logger.warning("%s puts %s in quarantine: %s", role, where, reason, extra=place)
        line = json.dumps({**place, "timestamp_ms": record.timestamp_ms, "reason": reason})
        value = line.encode() + b"\n" + record.value
        await self._writer.append(QUARANTINE, 0, [(f"{role}:{where}".encode(), value)])
        self.counts[role] = self.counts.get(role, 0) + 1
