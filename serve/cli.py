"""The command line: `memfold`. Its verbs live beside this file, one family a file."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from memfold.memory.errors import MemfoldError
from memfold.serve import (
    cli_at,
    cli_audit,
    cli_bundle,
    cli_eval,
    cli_graph,
    cli_import,
    cli_infra,
    cli_ingest,
    cli_memory,
    cli_projection,
    cli_proofs,
    cli_reads,
    cli_repack,
    cli_repartition,
    cli_replay,
    cli_report,
    cli_restore,
    cli_rollback,
    cli_seals,
    cli_stack,
    cli_status,
    cli_taking_back,
    cli_understanding,
    cli_verify,
    cli_watch,
    cli_what_if,
)
from memfold.serve.logs import log_to_stderr

app = typer.Typer(
    name="memfold",
    help="Memory for AI agents as a fold over an immutable log.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
cli_stack.register(app)
cli_status.register(app)
cli_memory.register(app)
cli_taking_back.register(app)
cli_graph.register(app)
cli_understanding.register(app)
cli_watch.register(app)
cli_restore.register(app)
app.add_typer(cli_import.app, name="import", help="Take in memories that began elsewhere.")
app.add_typer(cli_ingest.app, name="ingest", help="Take in what is said elsewhere, as it comes.")
app.add_typer(cli_eval.app, name="eval", help="Measure on your own material.")
app.add_typer(
    cli_replay.app, name="replay", help="Rebuild projections from the log, and prove that they are the same."
)
app.add_typer(cli_projection.app, name="projection", help="Mirror the vector projection in another store.")
app.add_typer(cli_infra.app, name="infra", help="What a Kafka of your own has to be told: topics and rights.")
cli_verify.register(cli_replay.app)
cli_rollback.register(cli_replay.app)
cli_taking_back.register_replay(cli_replay.app)
cli_at.register(cli_replay.app)
cli_what_if.register(cli_replay.app)
cli_repartition.register(cli_replay.app)
cli_seals.register(cli_audit.app)
cli_repack.register(cli_audit.app)
cli_proofs.register(cli_audit.app)
cli_bundle.register(cli_audit.app)
cli_report.register(cli_audit.app)
cli_reads.register(cli_audit.app)
app.add_typer(
    cli_audit.app, name="audit", help="Ask the full log, seal it, verify it, and prove what is in it."
)


def main() -> None:
    """Run the command line; memfold's own errors are one message and exit status 1."""
    try:
        log_to_stderr()
        app()
    except MemfoldError as error:
        Console(stderr=True).print(f"[bold red]error:[/] {type(error).__name__}:", end=" ")
        Console(stderr=True).print(str(error), markup=False, highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
