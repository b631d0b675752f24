"""The event that answers a command, as it is written: the clear envelope, and the body under the subject's key."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from memfold.schemas.codec import encode
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import CLEARS
from memfold.schemas.records import Envelope, MemoriesDecided


def event_of(
    command: Envelope, offset: int, body: MemoriesDecided, keys: KeyStore, at: datetime | None = None
) -> tuple[Envelope, bytes]:
    """`offset` is the command's; `at` is when it was decided, now if left out. Raises KeyDestroyed."""
    key_id, key = keys.sealing_key(command.subject)
    touched = dict.fromkeys(done.memory_id for done in body.operations if done.op != "NONE")
    touched |= dict.fromkeys(change.memory_id for change in body.relations)
    envelope = Envelope(
        record_id=str(uuid.uuid5(uuid.UUID(command.command_id), "event")),
        type="memories_decided",
        tenant=command.tenant,
        subject=command.subject,
        command_id=command.command_id,
        occurred_at=at or datetime.now(UTC),
        body_schema=b"",
        key_id=key_id,
        nonce=b"",
        command_offset=offset,
        memory_ids=[CLEARS, *touched] if body.clears else list(touched),
    )
    return envelope, encode(envelope, body, key)
