"""The generated references are what the code says today."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[1] / "docs"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", generator().PAGES)
def test_a_reference_is_not_stale(name: str) -> None:
    assert (DOCS / name).read_text() == generator().PAGES[name](), f"docs/{name} is stale: run `make docs`"


def test_every_command_says_what_it_does() -> None:
    text = generator().cli()
    sections = text.split("\n## ")[1:]
    assert len(sections) >= 15
    for section in sections:
        command, _, rest = section.partition("\n")
        assert rest.strip().splitlines()[0][0] not in "|#", f"`{command}` has no description"
