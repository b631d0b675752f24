"""The root folders are the subpackages: the list, the mapping, the links and the folders say the same."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETUP = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
ROOMS = sorted(path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "memfold")


def test_every_room_is_packaged_mapped_linked_typed_and_covered() -> None:
    assert sorted(SETUP["setuptools"]["packages"]) == ["memfold", *[f"memfold.{room}" for room in ROOMS]]
    assert SETUP["setuptools"]["package-dir"] == {f"memfold.{room}": room for room in ROOMS}
    assert sorted(SETUP["pyright"]["include"]) == sorted(["memfold", "tests", *ROOMS])
    assert sorted(SETUP["coverage"]["run"]["source"]) == sorted(["memfold", *ROOMS])
    layers = (ROOT / ".importlinter").read_text()
    assert all(f"memfold.{room}" in layers for room in ROOMS)


def test_static_tools_see_every_room_and_every_file_of_the_face() -> None:
    links = {path.name: path.resolve() for path in (ROOT / "typings" / "memfold").iterdir()}
    face = {path.name: path for path in (ROOT / "memfold").iterdir() if path.is_file()}
    assert links == {room: ROOT / room for room in ROOMS} | face


def test_rooms_are_one_level_deep_and_schemas_lie_in_their_room() -> None:
    for room in ROOMS:
        assert not [path for path in (ROOT / room).iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert list((ROOT / "schemas").glob("*.avsc"))


def test_nothing_that_is_committed_names_a_registry_or_a_machine() -> None:
    constraints = (ROOT / "constraints.txt").read_text()
    assert "://" not in constraints
    assert " @ " not in constraints


def test_recipes_are_one_line_each() -> None:
    lines = (ROOT / "Makefile").read_text().splitlines()
    recipes = [number for number, line in enumerate(lines) if line.startswith("\t")]
    assert recipes
    assert not [number for number in recipes if number + 1 in recipes]
