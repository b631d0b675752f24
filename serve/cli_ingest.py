"""`memfold ingest jsonl|topic`: what is said elsewhere, as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from memfold.replay.jsonl import object_in
from memfold.serve.caller import Caller
from memfold.serve.cli_options import (
    Bootstrap,
    Home,
    Json,
    RegistryUrl,
    console,
    print_json,
    print_places,
)
from memfold.serve.ingest_open import IntakeCluster, Opened, ingested, lines, topic
from memfold.serve.ingest_report import IngestReport
from memfold.serve.ingesting import mapped
from memfold.serve.intake_lines import LineSource
from memfold.serve.progress_line import shown_line
from memfold.serve.registry_settings import RegistrySettings
from memfold.serve.settings import Settings, settings_from
from memfold.serve.source_mapping import SourceMapping, mapping_in, published
from memfold.streams.avro_records import AvroRecords, schema_text

app = typer.Typer(no_args_is_help=True)

MappingFile = Annotated[
    Path | None,
    typer.Option(
        "--mapping",
        help="TOML file that says where the user, the words and the rest stand. Left out: records of docs/commands.md.",
    ),
]
RefusedTo = Annotated[
    Path | None, typer.Option("--refused-to", help="File that refused records are added to, as they came.")
]
AnotherMapping = Annotated[
    bool,
    typer.Option("--another-mapping", help="Go on from where it stands although the mapping changed."),
]
Open = Callable[[], AbstractContextManager[Opened]]


def register(whole: typer.Typer) -> None:
    whole.add_typer(app, name="ingest", help="Take in what is said elsewhere, as it comes.")


@app.command("jsonl")
def jsonl(
    file: Annotated[Path, typer.Argument(help="One JSON object a line; - for standard input.")],
    mapping: MappingFile = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and check everything, write nothing.")
    ] = False,
    refused_to: RefusedTo = None,
    another_mapping: AnotherMapping = False,
    another_file: Annotated[
        bool,
        typer.Option("--another-file", help="The file is another one under the same name: all of it is new."),
    ] = False,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Take in what is said in JSON lines. Run again, it takes in the lines that are new."""
    path = None if str(file) == "-" else file
    chosen = _mapping(mapping, file.name)
    if dry_run:
        _told(_checked(LineSource(path), chosen, refused_to), as_json, "can be taken in")
        return
    settings = settings_from(home=home, bootstrap_servers=bootstrap_servers)
    report = IngestReport(str(file), refused_to)
    opened = partial(lines, settings, path, chosen, another_mapping, another_file)
    asyncio.run(_run(settings, opened, chosen, report, as_json, follow=False))
    _told(report, as_json)


@app.command("topic")
def from_topic(
    name: Annotated[str, typer.Argument(help="A topic whose records are JSON objects or Avro records.")],
    mapping: MappingFile = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what comes, until it is stopped (Ctrl-C, SIGTERM).")
    ] = False,
    servers: Annotated[
        str | None, typer.Option("--from", help="Kafka that has the topic, host:port; left out: the stack's.")
    ] = None,
    registry: RegistryUrl = None,
    schema: Annotated[
        list[Path] | None,
        typer.Option(
            "--schema",
            help="Avro schema (.avsc) of records in single-object encoding, or bare; may be repeated, bare ones are of the first.",
        ),
    ] = None,
    without_lost: Annotated[
        bool,
        typer.Option(
            "--without-lost",
            help="Go on although the topic's retention took records before they were taken in.",
        ),
    ] = False,
    refused_to: RefusedTo = None,
    another_mapping: AnotherMapping = False,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Take in what is said in a Kafka topic, up to its end or as it comes. Run again, it goes on where it was."""
    chosen = _mapping(mapping, name)
    settings = settings_from(home=home, bootstrap_servers=bootstrap_servers)
    report = IngestReport(name, refused_to)
    texts = [schema_text(path) for path in schema or ()]
    with RegistrySettings().registry(registry) as found:
        records = AvroRecords(found, texts, partial(object_in, what="a record"))

        def opened() -> AbstractContextManager[Opened]:
            # Only once a stack runs, whose cluster it may be.
            connection = IntakeCluster().connection(servers, settings)
            lost = partial(report.refuse, name) if without_lost else None
            return topic(settings, connection, name, records.object_in, chosen, another_mapping, follow, lost)

        asyncio.run(_run(settings, opened, chosen, report, as_json, follow=follow))
    _told(report, as_json)


def _mapping(path: Path | None, source: str) -> SourceMapping:
    return published(source) if path is None else mapping_in(path)


async def _run(
    settings: Settings,
    opened: Open,
    mapping: SourceMapping,
    report: IngestReport,
    quiet: bool,
    *,
    follow: bool,
) -> None:
    caller = await Caller.open(settings)
    try:
        with opened() as begun, shown_line(quiet) as show:
            await ingested(caller, begun, mapping, report, show, follow)
    finally:
        await caller.close()


def _checked(source: LineSource, mapping: SourceMapping, refused_to: Path | None) -> IngestReport:
    """What an ingest would refuse; nothing is asked of any stack."""
    report = IngestReport(source.name, refused_to)
    while (records := source.take()) is not None:
        said, refused = mapped(mapping, records)
        report.read, report.written = report.read + len(records), report.written + len(said)
        report.refuse_all(refused)
    return report


def _told(report: IngestReport, as_json: bool, did: str = "written") -> None:
    """Prints the report; exit status 1 where something was refused."""
    if as_json:
        print_json(report.told())
    else:
        counts = f"{report.read:,} read, {report.written:,} {did}, {report.refused_count:,} refused"
        console.print(f"{report.source}: {counts}", markup=False, highlight=False, soft_wrap=True)
        print_places(report.refused, report.refused_count, "red")
        if report.decided is False:
            console.print(
                "all of it is in the log; some is still being decided: see `memfold status`", highlight=False
            )
        if report.stands:
            console.print(
                f"read up to {report.stands}; run again, it goes on there", markup=False, highlight=False
            )
    if report.refused_count:
        raise typer.Exit(1)
