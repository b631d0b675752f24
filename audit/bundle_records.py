"""Which records go into a bundle: those of one subject in a window that memfold wrote, and of the others where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from memfold.audit.bounds import Bounds
from memfold.audit.errors import TooMuchToOpen
from memfold.audit.full_log import FullLog
from memfold.schemas.codec import decode_envelope
from memfold.schemas.errors import KeyDestroyed, UnknownKey, Unreadable
from memfold.schemas.opening import Keys, open_record
from memfold.schemas.records import Envelope, LogRecord

MOST = 10_000
"""Records of one bundle: the verifier opens a few hundred a second."""
Genuine = Sequence[tuple[LogRecord, Envelope]]


def records_of(log: FullLog, bounds: Bounds, reads: bool) -> list[LogRecord]:
    """Every record that names the subject of the bounds: reads, if wanted, then commands, then events. Raises TooMuchToOpen."""
    subjects = {bounds.subject or ""}
    topics = (*([log.access] if reads else []), log.commands, log.events)
    rows = [topic.ask(lambda snapshot: snapshot.rows(bounds, subjects, MOST + 1)) for topic in topics]
    found = [record for each in rows for _, record in each]
    if len(found) > MOST:
        raise TooMuchToOpen(
            f"more than {MOST:,} records of this user lie in the window; bring from and to closer together and make several "
            f"bundles{', or leave the reads out' if reads else ''}"
        )
    return found


def genuine_of(found: Sequence[LogRecord], keys: Keys, opened: bool) -> tuple[Genuine, list[dict[str, Any]]]:
    """The records that memfold wrote for the subject that they name, and the others: {topic, partition, offset, why}.

    Of an erased subject nothing can be told apart any more: all of it is given, if it need not be `opened`; else raises KeyDestroyed.
    """
    genuine: list[tuple[LogRecord, Envelope]] = []
    left_out: list[dict[str, Any]] = []
    for record in found:
        try:
            genuine.append((record, open_record(record, keys)[0]))
        except KeyDestroyed:
            if opened:
                raise
            genuine.append((record, decode_envelope(record.value)[0]))
        except (Unreadable, UnknownKey) as why:
            left_out.append(place_of(record) | {"why": str(why)})
    return genuine, left_out


def place_of(record: LogRecord) -> dict[str, Any]:
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}
