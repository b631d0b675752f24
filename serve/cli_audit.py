"""`memfold audit …`: what is asked of the full log, and what proves it. Its verbs live beside this file."""

import typer

app = typer.Typer(no_args_is_help=True)
