"""The table of adapters: what is said of each is so, and what cannot be opened says why."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from memfold.memory.errors import InvalidInput
from memfold.stores import adapters
from memfold.stores.adapters import ADAPTERS, Adapter, checked_settings, open_store
from memfold.stores.errors import ExtraMissing
from tests.stores.run import RUN

EXTRAS = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]


def test_every_adapter_has_an_extra_is_in_dev_and_says_what_it_was_run_against() -> None:
    assert {*ADAPTERS} == {*RUN}
    for provider in (name for name, adapter in ADAPTERS.items() if adapter.client):
        assert {*EXTRAS[provider]} <= {*EXTRAS["dev"]}


def test_a_store_that_there_is_not_is_named() -> None:
    with pytest.raises(InvalidInput, match="there is no store 'sqlite'; known are lancedb, qdrant"):
        open_store("sqlite", {}, 4, True)


def test_a_wrong_setting_is_named_with_those_that_there_are() -> None:
    with pytest.raises(InvalidInput, match=r"qdrant: pfad: Extra inputs.*Known are collection_name"):
        checked_settings("qdrant", {"pfad": "/x", "collection_name": "a"})
    with pytest.raises(InvalidInput, match="set one of path"):
        checked_settings("qdrant", {"path": "/x", "url": "http://x", "collection_name": "a"})


def test_dimensions_that_the_embedder_does_not_give_are_refused(tmp_path: Path) -> None:
    config = {"path": str(tmp_path), "collection_name": "a", "embedding_model_dims": 1536}
    with pytest.raises(InvalidInput, match="embedding_model_dims is 1536, but the embedder gives 4"):
        open_store("qdrant", config, 4, True)


def test_a_client_that_is_not_installed_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "memfold.stores.qdrant", None)
    monkeypatch.setattr(adapters, "ADAPTERS", {"qdrant": Adapter("qdrant", "", "", "memfold")})
    with pytest.raises(ExtraMissing, match=r"pip install 'memfold\[qdrant\]'"):
        open_store("qdrant", {}, 4, True)


def test_importing_memfold_imports_no_store() -> None:
    clients = {adapter.client for adapter in ADAPTERS.values() if adapter.client}
    program = f"import sys, memfold, memfold.serve.cli_whole; print(sorted({clients!r} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
