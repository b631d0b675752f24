"""More partitions out of fewer, on real Kafka: everybody's memories, relations and history are as before, and writing goes on."""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memfold import Memory
from memfold.infra.broker import Broker
from memfold.infra.home import prepare_home
from memfold.memory.errors import InvalidInput
from memfold.schemas.partitions import COMMANDS, KEPT
from memfold.serve.embedded import check_before_start
from memfold.serve.new_cluster import NewCluster
from memfold.serve.repartitioned import MOVED, Moved, made_from, write
from memfold.serve.repartitioning import repartition_home
from memfold.serve.seals import Checking, seal_now
from memfold.serve.settings import Settings, settings_from
from tests.serve.before_repartition import (
    NOW,
    USERS,
    WAS,
    Before,
    assert_told_the_same,
    kill_after,
    stands_where_it_should,
    told,
)
from tests.serve.checks import reader_of, settled
from tests.serve.stacks import running_in

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Before:
    return Before(tmp_path_factory.mktemp("old") / "home")


@pytest.fixture
def old(before: Before, tmp_path: Path) -> Settings:
    """A copy of the home, as it was when it stopped."""
    shutil.copytree(
        before.settings.folder, tmp_path / "old", ignore=shutil.ignore_patterns("run", "ports.json")
    )
    return settings_from(home=tmp_path / "old")


def test_everybody_is_told_the_same_and_writing_goes_on(
    before: Before, old: Settings, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    made = repartition_home(old, NOW, new)
    assert (made.was, made.now) == (WAS, NOW)
    with pytest.raises(InvalidInput, match="repartitioned into"):
        check_before_start(old)
    with pytest.raises(InvalidInput, match="is whole"):
        repartition_home(old, NOW, new)
    with pytest.raises(InvalidInput, match="run that again"):
        repartition_home(old, NOW, tmp_path / "another")
    with running_in(new) as settings:
        reader = reader_of(settings)
        stands_where_it_should(before, reader, NOW)
        assert_told_the_same(told(new), before.told, before.seed)
        with Memory(home=new, tenant="zeta") as other:
            assert [one["id"] for one in other.get_all(user_id="user 1")["results"]] == before.zeta
            other.reset()
            assert other.get_all(user_id="user 1")["results"] == []
        acknowledged: list[str] = []
        with Memory(home=new) as memory:
            for user in USERS:
                again = memory.add("I met Sarah from Google", user_id=user, idempotency_key="met")
                assert len([r for r in again["results"] if r["event"] == "ADD"]) == 1, (
                    "the first answer, not a new one"
                )
                now = memory.get_all(user_id=user)["results"]
                assert now == before.told[user]["memories"], "a command counts once, before and after"
                done = memory.add(f"and it goes on for {user}", user_id=user, infer=False)
                acknowledged.append(done["receipt"]["command_id"])
                assert memory.get_all(user_id=user)["results"][:-1] == now
                assert [v["event"] for v in memory.history(done["results"][0]["id"])] == ["ADD"]
        asyncio.run(settled(settings))
        seal_now(settings)
        checking = Checking(settings, log=True, key=None)
        report = checking.verify([], [], 0, True, lambda _: None)
        checking.close()
        assert report.ok, report.findings
        assert report.counts.elsewhere > 0
        quarantine = reader.bounds("memfold.quarantine", 0)[1]
        assert quarantine == 0
    # The old archive is what was sealed, by the old key.
    checking = Checking(old, log=False, key=None)
    report = checking.verify([], [], 0, True, lambda _: None)
    checking.close()
    assert report.ok, report.findings


def test_killed_at_any_point_it_goes_on(before: Before, old: Settings, tmp_path: Path) -> None:
    new, chance = tmp_path / "new", random.Random()
    argv = [sys.executable, "-m", "memfold.serve.cli", "replay", "repartition", "--partitions", str(NOW)]
    argv += ["--into", str(new), "--home", str(old.folder)]
    # As if killed between the two marks: the old home is fenced, the new one is an empty home.
    write(old.folder / MOVED, Moved(str(new), NOW))
    prepare_home(new)
    shards = len(KEPT) * NOW
    kills = [0, chance.randrange(1, shards), chance.randrange(shards, shards + 2 * NOW)]
    for lines in kills:
        kill_after(argv, lines, new)
        with pytest.raises(InvalidInput, match="repartitioned into"):
            check_before_start(old)
        with pytest.raises(InvalidInput, match="has not ended"):
            check_before_start(settings_from(home=new))
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{len(before.log[COMMANDS, 0])} of them there before" in done.stdout, "it went on"
    assert made_from(new) is not None
    with running_in(new) as settings:
        assert_told_the_same(told(new), before.told, (before.seed, kills))
        asyncio.run(settled(settings))


def test_onto_a_kafka_of_ones_own(before: Before, old: Settings, tmp_path: Path) -> None:
    new = tmp_path / "new"
    with Broker(tmp_path / "kafka") as kafka:
        repartition_home(old, NOW, new, cluster=NewCluster(bootstrap_servers=kafka.bootstrap))
        with pytest.raises(InvalidInput, match=f"MEMFOLD_BOOTSTRAP_SERVERS={kafka.bootstrap} memfold up"):
            check_before_start(old)
        with running_in(new, bootstrap_servers=kafka.bootstrap) as settings:
            stands_where_it_should(before, reader_of(settings), NOW)
            assert_told_the_same(told(new, kafka.bootstrap), before.told, before.seed)
            asyncio.run(settled(settings))
    assert not (new / "kafka" / "data").exists()


def test_what_is_refused_leaves_the_old_home_as_it_was(old: Settings, tmp_path: Path) -> None:
    for count in (1, 2, 3):
        with pytest.raises(InvalidInput, match="multiple"):
            repartition_home(old, count, tmp_path / "new")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(InvalidInput, match="something else"):
        repartition_home(old, NOW, tmp_path / "full")
    with pytest.raises(InvalidInput, match="name another cluster"):
        repartition_home(old.model_copy(update={"bootstrap_servers": "127.0.0.1:1"}), NOW, tmp_path / "new")
    assert not (old.folder / MOVED).exists()
    check_before_start(old)
