"""A command imports its own family only, and says there what the whole command line says."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import typer.main

from memfold.serve.cli import app_for
from memfold.serve.cli_families import FAMILIES, SHARED
from memfold.serve.cli_whole import app

HEAVY = {"lancedb", "pyoxigraph", "rdflib", "faust", "spacy", "duckdb", "pyarrow", "openai"}
WHOLE: Any = typer.main.get_command(app)


def told(command: Any, path: str) -> dict[str, Any]:
    """A command and those below it, by path: its parameters and what --help says."""
    parameters = [
        (type(one), one.name, one.opts, one.secondary_opts, repr(one.default), one.required)
        for one in command.params
    ]
    said = command.get_help(command.make_context(path, [], resilient_parsing=True))
    below: dict[str, Any] = {}
    for name, child in getattr(command, "commands", {}).items():
        below |= told(child, f"{path} {name}")
    return {path: (parameters, said)} | below


def test_every_first_word_has_a_family_or_is_shared() -> None:
    assert {*FAMILIES} | {*SHARED} == {*WHOLE.commands}
    assert not {*FAMILIES} & {*SHARED}


@pytest.mark.parametrize("word", FAMILIES)
def test_a_command_built_alone_is_the_one_of_the_whole(word: str) -> None:
    alone: Any = typer.main.get_command(app_for([word, "--help"]))
    assert told(alone.commands[word], f"memfold {word}") == told(WHOLE.commands[word], f"memfold {word}")
    assert alone.help == WHOLE.help


@pytest.mark.parametrize(
    "words", [[], ["--help"], ["sttaus"], ["replay", "rebuild"], ["--install-completion"]]
)
def test_anything_else_is_answered_by_the_whole(words: list[str]) -> None:
    assert app_for(words) is app


def test_a_shell_that_completes_asks_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_MEMFOLD_COMPLETE", "complete_bash")
    assert app_for(["status"]) is app


@pytest.mark.parametrize("word", ["up", "down", "doctor", "config", "status", "worker"])
def test_the_daily_verbs_import_no_projection(word: str) -> None:
    program = (
        "import sys; from memfold.serve.cli import main\n"
        "try: main()\n"
        f"finally: print('HEAVY', sorted({HEAVY!r} & {{*sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", program, word, "--help"], capture_output=True, text=True)
    assert f"Usage: -c {word}" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1] == "HEAVY []"
