"""The whole command line, every verb of it: for --help, for groups of many families, and for what is made of it (docs, completion)."""

from __future__ import annotations

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
    cli_worker,
)
from memfold.serve.cli_families import new_app

app = new_app()
cli_stack.register(app)
cli_worker.register(app)
cli_status.register(app)
cli_memory.register(app)
cli_taking_back.register(app)
cli_graph.register(app)
cli_understanding.register(app)
cli_watch.register(app)
cli_restore.register(app)
cli_import.register(app)
cli_ingest.register(app)
cli_eval.register(app)
app.add_typer(
    cli_replay.app, name="replay", help="Rebuild projections from the log, and prove that they are the same."
)
cli_projection.register(app)
cli_infra.register(app)
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
