"""What the archive does not have yet, straight from Kafka."""

from __future__ import annotations

from memfold.schemas.records import LogRecord
from memfold.streams.reader import LogReader


class KafkaTail:
    """The end of each partition after an archived offset."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader

    def records_after(self, topic: str, partition: int, offset: int) -> list[LogRecord]:
        """Every record above `offset` that is in the log now. Raises BrokerUnreachable, LogTruncated."""
        _, end = self._reader.bounds(topic, partition)
        return [record for batch in self._reader.read(topic, partition, offset + 1, end) for record in batch]
