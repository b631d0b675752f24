"""What has to hold after every fault: nothing lost, nothing twice, every projection equal to a fresh fold of the log."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection

from memfold.schemas.codec import decode_envelope
from memfold.schemas.errors import Unreadable
from memfold.schemas.partitions import COMMANDS, EVENTS
from memfold.schemas.records import LogRecord
from memfold.serve.embedded import running_stack
from memfold.serve.replaying import standings_of_workers
from memfold.serve.running import status_now
from memfold.serve.seals import Checking, seal_now
from memfold.serve.settings import Settings
from memfold.serve.verifying import verify_served
from memfold.streams.reader import LogReader

SETTLED = 90.0
LINES = 15


def reader_of(settings: Settings) -> LogReader:
    servers = running_stack(settings) or settings.bootstrap_servers
    assert servers is not None
    return LogReader(settings.connection(servers))


def records(reader: LogReader, topic: str, partition: int) -> list[LogRecord]:
    _, end = reader.bounds(topic, partition)
    return [record for batch in reader.read(topic, partition, 0, end) for record in batch]


async def settled(settings: Settings, within: float = SETTLED) -> None:
    """Wait until every role has come to the end of the log."""
    deadline = time.monotonic() + within
    status = await status_now(settings)
    while time.monotonic() < deadline:
        if all(role["running"] and role["lag"] == 0 for role in status["roles"]):
            return
        await asyncio.sleep(0.2)
        status = await status_now(settings)
    raise AssertionError(f"not settled within {within:g} s: {status}\n{ends_of_logs(settings)}")


def ends_of_logs(settings: Settings) -> str:
    """The last lines of each process's log, without those that say how requests went."""
    told = []
    for log in sorted((settings.folder / "logs").glob("*.log")):
        lines = [line for line in log.read_text(errors="replace").splitlines() if "INFO" not in line]
        told.append("\n".join([f"== {log.name}", *(line[:300] for line in lines[-LINES:])]))
    return "\n".join(told)


async def everything_holds(
    settings: Settings, acknowledged: Collection[str], within: float = SETTLED
) -> Counter[str]:
    """The checks; `acknowledged` are command ids that callers were told are in the log. `within`: seconds to catch up.

    How often each command of the log counts, by its id.
    """
    await settled(settings, within)
    reader = reader_of(settings)
    counted: Counter[str] = Counter()
    for partition in range(settings.partitions):
        commands = {_command_id(record) for record in records(reader, COMMANDS, partition)} - {None}
        fence = -1
        answered: Counter[str] = Counter()
        for record in records(reader, EVENTS, partition):
            try:
                envelope, _, _ = decode_envelope(record.value)
            except Unreadable:
                continue
            if envelope.command_offset > fence:
                fence = envelope.command_offset
                answered[envelope.command_id] += 1
        assert set(answered) == commands, "every command has an event, and every event a command"
        counted += answered
    assert max(counted.values(), default=1) == 1, "no command counts twice"
    missing = set(acknowledged) - set(counted)
    assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged commands are not in the log"
    for standing in (await standings_of_workers(settings)).values():
        at = standing.position
        assert at.offset + 1 == at.applied + at.ignored + at.quarantined + at.erased, (
            f"the counts do not add up: {at}"
        )
    for source in ("kafka", "archive"):
        compared = (await asyncio.to_thread(verify_served, settings, source)).compared
        assert len(compared) == 2 * settings.partitions
        assert all(one.equal for one in compared), (
            f"a projection is not the fold of the log ({source}): {compared}"
        )
    return counted


def the_log_verifies(settings: Settings) -> None:
    """Sealed as it is now, every record authenticates, and every seal from before is a beginning of this one."""
    seal_now(settings)
    checking = Checking(settings, log=True, key=None)
    try:
        report = checking.verify([], [], 0, True, lambda _: None)
    finally:
        checking.close()
    assert report.ok, report.findings


def _command_id(record: LogRecord) -> str | None:
    try:
        return decode_envelope(record.value)[0].command_id
    except Unreadable:
        return None
