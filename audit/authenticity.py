"""Whether each record is one that memfold wrote, for its subject, and whether every event answers its own command, in order."""

from __future__ import annotations

from collections.abc import Sequence

from memfold.audit.archived import ArchivedTree
from memfold.audit.checkpoints import TreeName
from memfold.audit.findings import Report
from memfold.audit.opened_rows import Sure
from memfold.schemas.codec import decode_envelope
from memfold.schemas.elsewhere import is_elsewhere
from memfold.schemas.errors import KeyDestroyed, MemfoldError, UnknownKey, UnknownSchema, Unreadable
from memfold.schemas.opening import Decoded, Keys, open_decoded
from memfold.schemas.partitions import ACCESS, COMMANDS, EVENTS
from memfold.schemas.records import Envelope, LogRecord
from memfold.schemas.registry import with_fingerprint

BACK = 1_000
"""Milliseconds that a broker's time may step back between two records: a clock that is being adjusted, not one that was set."""


_TOPIC_OF = {"memories_decided": EVENTS, "memory_read": ACCESS}
"""Where records of a type belong; all others are commands."""


def decoded_of(records: Sequence[LogRecord]) -> list[Decoded | Unreadable]:
    """The envelope of each record, or why it has none."""
    found: list[Decoded | Unreadable] = []
    for record in records:
        try:
            found.append(decode_envelope(record.value))
        except Unreadable as reason:
            found.append(reason)
    return found


class CommandIds:
    """Of a partition's commands that were read: the id of each genuine or erased one, by offset."""

    def __init__(self) -> None:
        self.genuine: dict[int, str] = {}
        self.erased: dict[int, str] = {}
        self.first = self.end = 0


class Authenticity:
    """Checks the records of one tree, in order. Without `keys` only what is in clear can be checked."""

    def __init__(
        self, tree: TreeName, archived: ArchivedTree, keys: Keys | None, commands: CommandIds, report: Report, moved: int
    ) -> None:  # fmt: skip
        """`moved`: the offset before which records may stand in another partition."""
        self._tree, self._archived, self._keys, self._report = tree, archived, keys, report
        self._commands, self._fence, self._time = commands, -1, 0
        self._decided: set[str] = set()
        self._moved = moved

    def check(self, records: Sequence[LogRecord], decoded: Sequence[Decoded | Unreadable | Sure]) -> None:
        """`decoded` are the records' envelopes, as `decoded_of` gives them, or what is sure of those that were opened already."""
        for record, each in zip(records, decoded, strict=True):
            self._check_time(record)
            envelope = self._opened(record, each)
            if self._tree.topic == COMMANDS:
                self._commands.end = record.offset + 1
            elif self._tree.topic == EVENTS and envelope is not None:
                self._check_order(record, envelope)

    def _check_time(self, record: LogRecord) -> None:
        if record.timestamp_ms < self._time - BACK:
            seconds = (self._time - record.timestamp_ms) / 1000
            self._bad(
                "clock",
                record,
                f"the broker's time is {seconds:.1f} s before an earlier record's: its clock was set back",
            )
        self._time = (
            max(self._time, record.timestamp_ms)
            if record.timestamp_ms >= self._time - BACK
            else record.timestamp_ms
        )

    def _opened(self, record: LogRecord, decoded: Decoded | Unreadable | Sure) -> Envelope | Sure | None:
        """The envelope of a genuine or erased record; None for one that was reported."""
        if isinstance(decoded, Sure):
            self._report.counts.opened += 1
            return self._belongs(record, decoded, self._commands.genuine)
        if isinstance(decoded, Unreadable):
            if is_elsewhere(record) and record.offset < self._moved:
                self._report.counts.elsewhere += 1
            else:
                self._unreadable(record, decoded)
            return None
        envelope = decoded[0]
        try:
            if self._keys is None:
                with_fingerprint(envelope.body_schema)
            else:
                open_decoded(record, decoded, self._keys)
                self._report.counts.opened += 1
        except KeyDestroyed:
            self._report.counts.erased += 1
            return self._belongs(record, envelope, self._commands.erased)
        except (Unreadable, UnknownKey, UnknownSchema) as reason:
            self._unreadable(record, reason)
            return None
        return self._belongs(record, envelope, self._commands.genuine)

    def _unreadable(self, record: LogRecord, reason: MemfoldError) -> None:
        unknown = isinstance(reason, UnknownSchema) or isinstance(reason.__cause__, UnknownSchema)
        self._bad("schema" if unknown else "forged", record, str(reason))

    def _belongs(
        self, record: LogRecord, envelope: Envelope | Sure, commands: dict[int, str]
    ) -> Envelope | Sure | None:
        if _TOPIC_OF.get(envelope.type, COMMANDS) != self._tree.topic:
            self._bad("forged", record, f"a {envelope.type} record does not belong on {record.topic}")
            return None
        if self._tree.topic == COMMANDS:
            commands[record.offset] = envelope.command_id
        return envelope

    def _check_order(self, record: LogRecord, envelope: Envelope | Sure) -> None:
        """The fence: an event counts when its command is behind that of every event before it."""
        known, offset = self._commands, envelope.command_offset
        if offset <= self._fence:
            self._report.counts.duplicates += 1
            return
        if offset >= known.end:
            self._bad(
                "sequence", record, f"it answers command {offset}, but there are only {known.end} commands"
            )
        elif offset >= known.first:
            asked = known.genuine.get(offset) or known.erased.get(offset)
            if asked != envelope.command_id:
                self._bad(
                    "sequence", record, f"it does not answer the command at offset {offset}, which it names"
                )
        for skipped in range(max(self._fence + 1, known.first), min(offset, known.end)):
            command_id = known.genuine.get(skipped)
            # An erased command that no event answers may have been put aside before it was decided.
            if command_id is not None and command_id not in self._decided:
                self._bad(
                    "sequence",
                    record,
                    f"no event answers command {skipped} ({command_id}), which comes before it",
                )
        self._decided.add(envelope.command_id)
        self._fence = offset

    def _bad(self, kind: str, record: LogRecord, said: str) -> None:
        at = record.offset
        self._report.add(
            kind, f"{self._tree} offset {at}: {said}", self._tree, file=self._archived.file_of(at), offset=at, last=at,
            memory_ids=self._archived.memory_ids(at, at),
        )  # fmt: skip
