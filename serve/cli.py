"""The command line: `memfold`. Its verbs live beside this file, one family a file; a run imports the family that it needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import typer
from rich.console import Console

from memfold.memory.errors import MemfoldError
from memfold.serve.cli_families import FAMILIES, new_app
from memfold.serve.logs import log_to_stderr

_COMPLETING = "_MEMFOLD_COMPLETE"
"""Set by a shell that asks what may come next; what is typed stands elsewhere than in the arguments then."""


def app_for(words: Sequence[str]) -> typer.Typer:
    """The command line that can run `words`: its family alone where the first one says which, else the whole."""
    module = FAMILIES.get(words[0]) if words and _COMPLETING not in os.environ else None
    if module is None:
        whole: typer.Typer = import_module("memfold.serve.cli_whole").app
        return whole
    app = new_app()
    import_module(f"memfold.serve.{module}").register(app)
    return app


def main() -> None:
    """Run the command line; memfold's own errors are one message and exit status 1."""
    try:
        log_to_stderr()
        app_for(sys.argv[1:])()
    except MemfoldError as error:
        Console(stderr=True).print(f"[bold red]error:[/] {type(error).__name__}:", end=" ")
        Console(stderr=True).print(str(error), markup=False, highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
