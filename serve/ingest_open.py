"""Where an ingest is put together: the source at the place where it stood, the caller, and the signals that stop it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from memfold.memory.errors import InvalidInput, SourceTruncated
from memfold.memory.intake_source import IntakeSource
from memfold.serve.caller import Caller
from memfold.serve.embedded import running_stack
from memfold.serve.ingest_report import IngestReport
from memfold.serve.ingesting import Ingesting
from memfold.serve.intake_lines import LineSource
from memfold.serve.intake_places import Places, places_of
from memfold.serve.settings import Settings
from memfold.serve.source_mapping import SourceMapping
from memfold.serve.stopping import STOPPING, when_told_to_stop
from memfold.streams.connection import Connection
from memfold.streams.credentials import Credentials
from memfold.streams.intake_topic import Decode, TopicSource

Opened = tuple[IntakeSource, Places]


class IntakeCluster(Credentials, BaseSettings):
    """The cluster of a topic that is ingested, where it is not the one of the stack: MEMFOLD_INGEST_*, named as MEMFOLD_* are."""

    model_config = SettingsConfigDict(env_prefix="MEMFOLD_INGEST_", frozen=True)

    bootstrap_servers: str | None = None

    def connection(self, servers: str | None, settings: Settings) -> Connection:
        """To `servers`, to those that are configured, or to the stack's own cluster. Raises InvalidInput where there is none."""
        if elsewhere := servers or self.bootstrap_servers:
            given = {name: getattr(self, name) for name in Credentials.model_fields}
            return Connection(bootstrap_servers=elsewhere, **given)
        own = running_stack(settings) or settings.bootstrap_servers
        if own is None:
            raise InvalidInput(
                "no Kafka to read from: nothing runs in the home; pass --from host:port, or set MEMFOLD_INGEST_BOOTSTRAP_SERVERS"
            )
        return settings.connection(own)


@contextmanager
def lines(
    settings: Settings, path: Path | None, mapping: SourceMapping, another_mapping: bool, another_file: bool
) -> Iterator[Opened]:
    """A file where it stood; standard input has no place to be kept, and what was in it before counts once all the same.

    Raises InvalidInput for a file that is not the one that was begun, unless its records bring keys or `another_file`.
    """
    if path is None:
        yield LineSource(None), Places(None, {}, {})
        return
    path = path.absolute()
    with places_of(settings.folder / "ingest", str(path), str(path), mapping, another_mapping) as places:
        source = LineSource(path)
        begun = places.by_partition.get(0)
        if begun is not None and not source.go_on(begun):
            source.close()
            if mapping.fields.idempotency_key is None and not another_file:
                raise InvalidInput(
                    f"{path} was read up to line {begun.next - 1} before, and those lines are not what they were. If it is another "
                    "file, say --another-file: every line is new then. If a line was corrected, map an idempotency key first"
                )
            places.forget()
            source = LineSource(path)
        try:
            yield source, places
        finally:
            source.close()


@contextmanager
def topic(
    settings: Settings,
    connection: Connection,
    name: str,
    decode: Decode,
    mapping: SourceMapping,
    another_mapping: bool,
    follow: bool,
    lost: Callable[[str], None] | None,
) -> Iterator[Opened]:
    """A topic where it stood. What its retention took in between is told to `lost`; raises SourceTruncated if that is None."""
    source = TopicSource(connection, name, decode, follow)
    try:
        with places_of(
            settings.folder / "ingest", source.name, source.identity, mapping, another_mapping
        ) as places:
            gone = source.begin(places.by_partition)
            if lost is not None:
                for reason in gone:
                    lost(reason)
            elif gone:
                raise SourceTruncated(
                    f"{source.name} lost records before they were taken in: {'; '.join(gone)}. Where they are elsewhere, bring them "
                    "in from there; --without-lost goes on with what is left, and tells them as refused"
                )
            yield source, places
    finally:
        source.close()


async def ingested(
    caller: Caller,
    opened: Opened,
    mapping: SourceMapping,
    report: IngestReport,
    show: Callable[[str], None],
    follow: bool,
) -> None:
    """Until the source ends, or SIGINT or SIGTERM stops it: what is on its way is acknowledged first. A second Ctrl-C interrupts."""
    source, places = opened
    ingesting = Ingesting(caller.writing, mapping, places, report)
    loop = asyncio.get_running_loop()

    def told() -> None:
        # Not SIGTERM's: `timeout` and some supervisors send it twice, to the process and to its group.
        loop.remove_signal_handler(signal.SIGINT)
        ingesting.stop()

    when_told_to_stop(told)
    try:
        await ingesting.run(source, show)
    finally:
        for each in STOPPING:
            loop.remove_signal_handler(each)
        report.stands = source.told(places.by_partition)
    if not follow:
        report.decided = await ingesting.decided()
