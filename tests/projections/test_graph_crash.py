"""kill -9 at random moments, many of them inside Oxigraph, and the graph is always a fold of the log up to its position."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from shutil import rmtree

import pytest

from memfold.projections import graph_store
from memfold.projections.base import Position, fenced
from memfold.projections.graph import GraphShard
from memfold.projections.graph_quads import Quad, as_update
from memfold.schemas.records import Clear, Scope
from tests.projections.graph_events import asserts, event, feed, retracts
from tests.strategies import history

LENGTH = 4_000
ROUNDS = 16


class Writer:
    """The process of graph_writer.py."""

    def __init__(self, folder: Path) -> None:
        program = [sys.executable, "-m", "tests.projections.graph_writer", str(folder), str(LENGTH)]
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen(
            program, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    def run_and_kill(self, random: Random) -> str:
        """Let it write, kill it, and say where it was: in an update (u), in a bulk load (b), elsewhere (.) or finished."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{random.randint(0, 10**9)}\n".encode())
        pid = int(self._process.stdout.readline())
        said, kind, entries = b"", random.choice([b"u", b"b"]), random.randint(1, 5)
        while said.count(kind) < entries and not said.endswith(b"!"):
            said += self._process.stdout.read(1)
        if not said.endswith(b"!"):
            time.sleep(
                random.uniform(0, 0.004 if kind == b"u" else 0.06)
            )  # any moment: there is nothing to wait for
            with suppress(ProcessLookupError):  # it may have come to its end meanwhile
                os.kill(pid, signal.SIGKILL)
        while not said.endswith(b"!"):
            said += self._process.stdout.read(1)
        return said[-2:-1].decode()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


def test_killed_at_any_moment_it_is_a_fold_of_the_log(tmp_path: Path) -> None:
    events = history(Random(11), LENGTH)
    random, killed = Random(), Counter[str]()
    folder, aside = tmp_path / "killed", tmp_path / "aside"
    expected = GraphShard(aside, 0)
    with closing(Writer(folder)) as writer:
        while killed.total() < ROUNDS or not (killed["b"] and killed["u"]):
            killed[writer.run_and_kill(random)] += 1
            with closing(GraphShard(folder, 0)) as shard:
                position = shard.position()
                until = [event for event in events if event.offset <= position.offset]
                expected.apply(*fenced(until, expected.position()))
                assert (position, shard.digest()) == (expected.position(), expected.digest())
            if position.offset == events[-1].offset:
                expected.close()
                rmtree(folder)
                rmtree(aside)
                expected = GraphShard(aside, 0)
    expected.close()
    print(f"\n{killed.total()} kills: {killed['b']} inside a bulk load, {killed['u']} inside an update")


@pytest.mark.parametrize("clear", [True, False])
@pytest.mark.parametrize("updates", range(5))
def test_a_bulk_load_that_died_before_all_was_removed_is_finished_by_the_next_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, updates: int, clear: bool
) -> None:
    """The moments between the steps of a commit, each met for certain."""
    said = [asserts("a1", "Sarah", "LIKES", "tea"), asserts("a2", "Sarah", "LIKES", "milk")]
    ending = event(1, clears=[Clear(Scope())]) if clear else event(1, retracts("a1"))
    again = [asserts("a3", "Sarah", "LIKES", "soup"), asserts("a4", "Sarah", "LIKES", "Milk")]
    rest = [ending, event(2, *again), event(3, asserts("a5", "Kim", "LIKES", "milk"))]
    with closing(GraphShard(tmp_path / "whole", 0)) as shard:
        feed(shard, event(0, *said))
        feed(shard, *rest)
        digest = shard.digest()

    written: list[str] = []

    def die(*quads: Iterable[Quad]) -> str:
        if len(written) == updates:
            raise KeyboardInterrupt
        written.append(as_update(*quads))
        return written[-1]

    shard = GraphShard(tmp_path / "died", 0)
    feed(shard, event(0, *said))
    monkeypatch.setattr(graph_store, "BULK", 1)
    monkeypatch.setattr(graph_store, "REMOVED_AT_ONCE", 1)
    monkeypatch.setattr(graph_store, "as_update", die)
    with suppress(KeyboardInterrupt):
        feed(shard, *rest)
    shard.close()
    monkeypatch.undo()
    with closing(GraphShard(tmp_path / "died", 0)) as shard:
        assert shard.position() == Position(offset=3, command_offset=3, applied=4)
        assert shard.digest() == digest
        assert "unfinished" not in str(shard._store().triples)
