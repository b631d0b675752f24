from __future__ import annotations

import multiprocessing
import os
import shutil
from pathlib import Path

import pytest

from memfold.memory.errors import InvalidInput, ShardDamaged
from memfold.projections.generations import Generations


@pytest.fixture
def generations(tmp_path: Path) -> Generations:
    return Generations(tmp_path, "vector")


def test_the_first_generation_is_served_before_any_exists(generations: Generations, tmp_path: Path) -> None:
    assert generations.served() == "g0001"
    assert generations.existing() == []
    assert generations.shard_path("g0001", 3) == tmp_path / "vector" / "g0001" / "p0003"


def test_the_next_one_is_above_all_others(generations: Generations) -> None:
    assert generations.create_next() == "g0002"
    generations.serve("g0002")
    assert generations.create_next() == "g0003"
    generations.remove("g0003")
    assert generations.existing() == ["g0002"]
    assert generations.create_next() == "g0003"


def test_names_go_on_past_four_digits(generations: Generations, tmp_path: Path) -> None:
    (tmp_path / "vector" / "g9999").mkdir(parents=True)
    assert generations.create_next() == "g10000"
    assert generations.existing() == ["g9999", "g10000"]


def test_another_process_sees_the_pointer_move(generations: Generations, tmp_path: Path) -> None:
    reader = Generations(tmp_path, "vector")
    seen = [(reader.served(), reader.pointer())]
    for _ in range(2):
        generations.serve(generations.create_next())
        seen.append((reader.served(), reader.pointer()))
    assert [name for name, _ in seen] == ["g0001", "g0002", "g0003"]
    assert len({pointer for _, pointer in seen}) == 3


def test_serving_again_is_seen_as_well(generations: Generations) -> None:
    generations.serve(generations.create_next())
    before = generations.pointer()
    generations.serve("g0002")
    assert generations.pointer() != before


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_crash_while_serving_leaves_the_old_pointer(
    generations: Generations, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    generations.serve(generations.create_next())
    new = generations.create_next()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, step, die)
    with pytest.raises(KeyboardInterrupt):
        generations.serve(new)
    monkeypatch.undo()
    assert generations.served() == "g0002"
    generations.serve(new)
    assert generations.served() == new


def test_a_crash_while_removing_leaves_no_half_generation(
    generations: Generations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = generations.create_next()
    (generations.shard_path(name, 0)).mkdir()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", die)
    with pytest.raises(KeyboardInterrupt):
        generations.remove(name)
    monkeypatch.undo()
    assert generations.existing() == []
    generations.remove(name)
    assert [path for path in (tmp_path / "vector").iterdir() if path.is_dir()] == []


def test_what_is_served_is_not_removed(generations: Generations) -> None:
    generations.serve(generations.create_next())
    with pytest.raises(InvalidInput, match="g0002 is served"):
        generations.remove("g0002")


@pytest.mark.parametrize("name", ["", "g1", "../g0001", "g0001/p0000", "g0001\n", "served"])
def test_only_names_of_generations_are_accepted(generations: Generations, name: str) -> None:
    for call in (generations.serve, generations.remove, lambda name: generations.shard_path(name, 0)):
        with pytest.raises(InvalidInput, match="not a generation's name"):
            call(name)


def test_what_does_not_exist_cannot_be_served(generations: Generations) -> None:
    with pytest.raises(InvalidInput, match="does not exist"):
        generations.serve("g0007")


def test_a_damaged_pointer_is_named(generations: Generations, tmp_path: Path) -> None:
    generations.create_next()
    (tmp_path / "vector" / "served").write_text("g00\0")
    with pytest.raises(ShardDamaged, match=r"vector/served.*rebuild"):
        generations.served()


def _create(folder: Path, count: int) -> list[str]:
    return [Generations(folder, "vector").create_next() for _ in range(count)]


def test_two_processes_never_get_the_same_generation(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        made = pool.starmap(_create, [(tmp_path, 20)] * 2)
    assert len({name for names in made for name in names}) == 40
