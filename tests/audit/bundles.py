"""A sealed log with what bundles are about: several people, hostile words, relations, model calls, a retry, a forgery; and its bundles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

from memfold.audit.bounds import checked_bounds
from memfold.audit.bundle import Bundle, Bundling, Selection
from memfold.audit.full_log import FullLog
from memfold.audit.seal_files import SealFiles
from memfold.audit.seal_key import seal_key
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import ACCESS, COMMANDS, EVENTS
from memfold.schemas.records import (
    AddRequested,
    Fact,
    Item,
    LogRecord,
    MemoriesDecided,
    MemoryRead,
    Message,
    ModelCall,
    Operation,
    RelationChange,
    Scope,
)
from memfold.verifier.layout import MANIFEST, NOTE, json_bytes, json_value, note_body
from memfold.verifier.plain_zip import files_of, zip_of
from tests.audit.evidence import EPOCH, Deployment, memory_id, written
from tests.audit.logs import ListTail

HOSTILE = (
    "<script>alert('x')</script> & \"quotes\" \u202eright to left \x00\x1b[31m </td></table> ]]> 😀 &amp;"
)
COUNT = 12
FORGED, AGAIN = COUNT, COUNT + 1


def _command(keys: KeyStore, number: int) -> LogRecord:
    user = f"user-{number % 3}"
    said = HOSTILE if number == 0 else f"thing {number}"
    body = AddRequested(
        Scope(user), [Item([Message("user", said, "Al<b>ex"), Message("assistant", "ok")], '{"a": 1}', EPOCH)]
    )
    return written(keys, COMMANDS, number, user, body)


def _event(keys: KeyStore, offset: int, answered: int) -> LogRecord:
    user = f"user-{answered % 3}"
    text = HOSTILE if answered == 0 else f"thing {answered}"
    operation = Operation(
        "ADD", memory_id(answered), 1, text, Scope(user, run_id="r<1>"), vector=bytes(range(256)) * 2, said_at=EPOCH, metadata='{"a": 1}'
    )  # fmt: skip
    relation = RelationChange(
        "ASSERT", f"assertion {answered}", memory_id(answered), text, "LIKES", "tea & <i>", confidence=0.7
    )
    call = ModelCall(
        "extract", "offline", "rules", answer=text, latency_ms=1.25, shown=[memory_id(1), memory_id(2)]
    )
    body = MemoriesDecided(
        "decided", facts=[Fact(text, confidence=0.1)], operations=[operation], relations=[relation], calls=[call], embedder="e"
    )  # fmt: skip
    return written(keys, EVENTS, offset, user, body, answered)


def _read(keys: KeyStore, number: int) -> LogRecord:
    user = f"user-{number % 3}"
    body = MemoryRead("search", "allowed", HOSTILE if number == 0 else "desk", purpose="care", count=2)
    return written(keys, ACCESS, number, user, body)


def sealed_log(home: Path, keys: KeyStore, reads: int = 0) -> Deployment:
    """12 commands and their events, then a record of user-0 that somebody forged, and the first event written again; all sealed.

    `reads`: how many there are beside, of the three users in turn.
    """
    commands = [_command(keys, number) for number in range(COUNT)]
    events = [_event(keys, number, number) for number in range(COUNT)]
    forged = bytearray(events[0].value)
    forged[-1] ^= 1
    events.append(LogRecord(EVENTS, 0, FORGED, events[-1].timestamp_ms, events[0].key, bytes(forged)))
    events.append(_event(keys, AGAIN, 0))
    made = Deployment(home, keys, commands, events)
    made.archive(commands, events, *([[_read(keys, number) for number in range(reads)]] if reads else []))
    made.seal()
    return made


@contextmanager
def bundling(log: Deployment, witnessed: Sequence[str] = ()) -> Iterator[Bundling]:
    with closing(FullLog(log.home / "archive", 1, ListTail([]), log.keys, log.keys)) as full:
        seals = log.home / "seals"
        yield Bundling(full, SealFiles(seals), seal_key(seals), witnessed, clock=lambda: 1_772_500_000.0)


def bundle_of(
    log: Deployment,
    user: str = "user-0",
    *,
    opened: bool = True,
    reads: bool = True,
    witnessed: Sequence[str] = (),
) -> Bundle:
    with bundling(log, witnessed) as maker:
        return maker.bundle(checked_bounds("acme", log.keys, user_id=user), Selection(opened, reads))


def signed_again(log: Deployment, data: bytes, changed: dict[str, bytes | None]) -> bytes:
    """A bundle in which the operator, who holds the key, has replaced files or taken them out (None), and signed the manifest anew."""
    files = files_of(data, "zip")
    time = int(files[NOTE].decode().split("\ntime ")[1].split("\n")[0])
    about = json_value(changed.get(MANIFEST) or files[MANIFEST], MANIFEST)
    for name, content in changed.items():
        if content is None:
            del files[name]
        else:
            files[name] = content
    about["files"] = {n: sha256(d).hexdigest() for n, d in files.items() if n not in (MANIFEST, NOTE)}
    files[MANIFEST] = json_bytes(about)
    signer = seal_key(log.home / "seals")
    files[NOTE] = signer.sign(note_body(signer.name, sha256(files[MANIFEST]).hexdigest(), time)).encode()
    return zip_of(files)
