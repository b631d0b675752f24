"""`memfold audit key|seal|verify`: sign what is there, and check all of it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from memfold.audit.findings import Finding, Report
from memfold.audit.seal_key import seal_key
from memfold.memory.errors import InvalidInput, MemfoldError
from memfold.serve.cli_options import Bootstrap, Home, Json, console, print_json, print_rows
from memfold.serve.seals import Checking, seal_now, seals_of
from memfold.serve.settings import settings_from
from memfold.serve.verified import note_verified

FAILED, NOT_CHECKED = 1, 2
_SHOWN = 20


def register(app: typer.Typer) -> None:
    for command in (key, seal, verify):
        app.command()(command)


def key(home: Home = None) -> None:
    """Print the public key of the seals, name+id+key: what an auditor and a witness are given, once, by a trusted way."""
    verifier = seal_key(seals_of(settings_from(home=home))).verifier()
    console.print(str(verifier), highlight=False, soft_wrap=True)


def seal(home: Home = None, bootstrap_servers: Bootstrap = None, as_json: Json = False) -> None:
    """Archive and seal what is in the log now."""
    sealed = seal_now(settings_from(home=home, bootstrap_servers=bootstrap_servers))
    if as_json:
        print_json(sealed)
        return
    rows: list[list[object]] = [[head["tree"], head["size"], head["root"][:16]] for head in sealed["heads"]]
    print_rows(f"sealed {_time(sealed['time'])}", ["tree", "records", "root"], rows)


def verify(
    since: Annotated[
        str | None, typer.Option("--since", help="Take what was sealed before this moment as verified: 2026-03-03.")
    ] = None,
    against: Annotated[
        list[Path] | None, typer.Option("--against", help="A checkpoint or heads kept elsewhere, or a witness's folder.")
    ] = None,
    receipt: Annotated[list[Path] | None, typer.Option("--receipt", help="A signed receipt to look up.")] = None,
    vkey: Annotated[
        str | None, typer.Option("--key", help="The public key that the seals must be of. Default: the home's own.")
    ] = None,
    no_log: Annotated[bool, typer.Option("--no-log", help="Archive against seals only, without Kafka.")] = False,
    hashes_only: Annotated[
        bool, typer.Option("--hashes-only", help="Hashes, positions and signatures; no record is opened, Kafka is not read.")
    ] = False,
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Hold Kafka, archive and seals against each other; exit status 1 where something is wrong, 2 where it cannot be checked."""
    settings = settings_from(home=home, bootstrap_servers=bootstrap_servers)
    moment = 0 if since is None else _milliseconds(since)
    try:
        checking = Checking(settings, log=not (no_log or hashes_only), key=vkey)
        try:
            with _progress(as_json) as progress:
                task = progress.add_task("verifying", total=checking.records())
                report = checking.verify(
                    against or [],
                    receipt or [],
                    moment,
                    not hashes_only,
                    lambda done: progress.advance(task, done),
                )
        finally:
            checking.close()
    except (MemfoldError, OSError) as reason:
        Console(stderr=True).print(
            f"could not be checked: {reason}", markup=False, highlight=False, style="red"
        )
        raise typer.Exit(NOT_CHECKED) from reason
    if as_json:
        print_json(report.json())
    else:
        _print(report)
    _note(settings.folder, report)
    if not report.ok:
        raise typer.Exit(FAILED)


def _note(home: Path, report: Report) -> None:
    """For `memfold status`. An auditor's copy of a home may well be read-only: that takes nothing from what was found."""
    try:
        note_verified(home, report)
    except OSError as reason:
        said = f"not noted for `memfold status`: {reason}"
        Console(stderr=True).print(said, markup=False, highlight=False, style="yellow")


def _progress(quiet: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet)


def _print(report: Report) -> None:
    counts = report.counts
    for finding in report.findings[:_SHOWN]:
        console.print(f"{finding.kind.upper()}: {finding.said}", style="red", markup=False, highlight=False)
        console.print(f"  {_where(finding)}", markup=False, highlight=False, soft_wrap=True)
    if len(report.findings) > _SHOWN:
        console.print(f"and {len(report.findings) - _SHOWN} more; --json lists them all")
    moved = f", {counts.elsewhere} elsewhere" if counts.elsewhere else ""
    console.print(
        f"{counts.records} records: {counts.sealed} sealed, {counts.unsealed} not yet; {counts.opened} opened, "
        f"{counts.erased} erased, {counts.duplicates} written twice{moved}; {counts.compared_with_log} compared with Kafka; "
        f"{counts.seals} checkpoints of {report.key}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    console.print(
        "everything holds" if report.ok else f"{len(report.findings)} findings",
        style="green" if report.ok else "red",
    )


def _where(finding: Finding) -> str:
    parts = [finding.file]
    if finding.topic:
        parts.append(f"{finding.topic}/{finding.partition} offsets {finding.offset} to {finding.last}")
    if finding.memory_ids:
        parts.append(f"memories {', '.join(finding.memory_ids)}")
    return "; ".join(part for part in parts if part)


def _milliseconds(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            f"--since {text!r} is no moment; write 2026-03-03 or 2026-03-03T10:00:00+00:00"
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
