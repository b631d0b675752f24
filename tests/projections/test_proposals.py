"""A pointer that moves by a proposal: it moves or is withdrawn, never both, whoever is faster."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from memfold.memory.errors import InvalidInput
from memfold.projections.generations import Generations
from memfold.projections.proposals import Proposals
from memfold.projections.unfinished import Unfinished, mark


@pytest.fixture
def generations(tmp_path: Path) -> Generations:
    made = Generations(tmp_path, "vector")
    for _ in range(2):
        made.create_next()
    made.serve("g0002")
    return made


def test_what_was_proposed_is_served_once_it_is_committed(generations: Generations) -> None:
    proposals, before = Proposals(generations), generations.pointer()
    name = proposals.make("g0003")
    assert generations.served() == "g0002"
    proposals.commit(name)
    assert (generations.served(), generations.previous()) == ("g0003", "g0002")
    assert generations.pointer() != before
    proposals.commit(name)
    proposals.withdraw(name)
    assert generations.served() == "g0003", "said twice, or too late"


def test_what_was_withdrawn_moves_nothing(generations: Generations) -> None:
    proposals = Proposals(generations)
    first = proposals.make("g0003")
    proposals.withdraw(first)
    proposals.commit(first)
    second, third = proposals.make("g0003"), proposals.make("g0003")
    proposals.commit(second)
    assert generations.served() == "g0002", "another one was made since"
    assert proposals.settled() == "g0002"
    proposals.commit(third)
    assert generations.served() == "g0002", "somebody opened what was served"
    assert [path.name for path in generations.folder.iterdir() if path.is_file()] == ["served"]


def test_what_cannot_be_served_cannot_be_proposed(generations: Generations) -> None:
    mark(generations.path("g0003"), Unfinished())
    for generation in ("g0003", "g0009"):
        with pytest.raises(InvalidInput):
            Proposals(generations).make(generation)


def test_one_who_commits_and_one_who_opens_at_the_same_moment_agree(generations: Generations) -> None:
    proposals, barrier = Proposals(generations), Barrier(2)

    def commit(name: str) -> None:
        barrier.wait()
        proposals.commit(name)

    def opened() -> str:
        barrier.wait()
        return proposals.settled()

    seen: set[str] = set()
    with ThreadPoolExecutor(2) as pool:
        for _ in range(200):
            name = proposals.make("g0003")
            committing, opening = pool.submit(commit, name), pool.submit(opened)
            committing.result()
            seen.add(opening.result())
            assert opening.result() == generations.served()
            generations.serve("g0002")
    assert seen
