"""`memfold audit repack`: the archive's small files merged now, as a worker does by itself when a day is over."""

from dataclasses import asdict

import typer

from memfold.serve.cli_options import Home, Json, console, print_json, print_rows
from memfold.serve.repacking import repack
from memfold.serve.seals import archive_of
from memfold.serve.settings import settings_from


def register(app: typer.Typer) -> None:
    app.command("repack")(repack_now)


def repack_now(home: Home = None, as_json: Json = False) -> None:
    """Merge the archive's small files into few sorted ones, today's too. Nothing that is sealed or proven changes."""
    settings = settings_from(home=home)
    found = repack(archive_of(settings), settings.audit.file_mb << 20)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    rows: list[list[object]] = [
        [f"{one.topic}/{one.partition}", one.before, "left to its worker" if one.after is None else one.after]
        for one in found
    ]
    print_rows("archive", ["partition", "files before", "files now"], rows)
    if any(one.after is None for one in found):
        console.print(
            "a running worker has these; it merges them when a day is over. To do it now, stop it: `memfold down`",
            highlight=False,
        )
