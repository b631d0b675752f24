"""More partitions for a log on a Kafka of one's own: onto another cluster, while the old one goes on serving whoever comes."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from memfold import Memory
from memfold.infra.broker import Broker
from memfold.infra.errors import StackRunning
from memfold.infra.home import prepare_home
from memfold.memory.errors import InvalidInput, RestoreRefused, TopicMisconfigured
from memfold.replay.restoring import Restored
from memfold.schemas.partitions import COMMANDS, KEPT, QUARANTINE, SEALS
from memfold.serve.embedded import check_before_start, environment_of
from memfold.serve.new_cluster import NewCluster
from memfold.serve.parts import Parts
from memfold.serve.repartitioned import MOVED, Moved, made_from, moved_from, write
from memfold.serve.repartitioning import repartition_home
from memfold.serve.settings import Settings, settings_from
from memfold.serve.view_address import addresses
from memfold.streams.connection import Connection
from memfold.streams.topics import TopicPlan, ensure_topics
from memfold.streams.vacant import cluster_of
from memfold.streams.writer import LogWriter
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
from tests.serve.checks import reader_of, records, settled, the_log_verifies
from tests.serve.stacks import running_in

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def old_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("old kafka")) as broker:
        yield broker


@pytest.fixture
def new_kafka(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "new kafka") as broker:
        yield broker


@pytest.fixture(scope="module")
def before(old_kafka: Broker, tmp_path_factory: pytest.TempPathFactory) -> Before:
    return Before(tmp_path_factory.mktemp("old") / "home", old_kafka.bootstrap)


@pytest.fixture
def old(before: Before, tmp_path: Path) -> Settings:
    """A copy of the home; its log is read only, so the tests share it."""
    shutil.copytree(before.settings.folder, tmp_path / "old", ignore=shutil.ignore_patterns("run"))
    return settings_from(home=tmp_path / "old", bootstrap_servers=before.settings.bootstrap_servers)


def onto(kafka: Broker) -> NewCluster:
    return NewCluster(bootstrap_servers=kafka.bootstrap)


def topics_of(kafka: Broker) -> set[str]:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    return {name for name in admin.list_topics(timeout=10).topics if name.startswith("memfold.")}


def delete_topics(kafka: Broker) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    for gone in admin.delete_topics([*KEPT, QUARANTINE, SEALS], operation_timeout=30).values():
        gone.result()


def cli(home: Path, *words: str, servers: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "memfold.serve.cli", *words, "--home", str(home)]
    variables = {"MEMFOLD_BOOTSTRAP_SERVERS": servers}
    return subprocess.run(argv, env={**os.environ, **variables}, capture_output=True, text=True, check=False)


def test_everybody_is_told_the_same_on_another_cluster_and_a_restore_there_too(
    before: Before, old: Settings, old_kafka: Broker, new_kafka: Broker, tmp_path: Path
) -> None:
    new, servers = tmp_path / "new", new_kafka.bootstrap
    with ExitStack() as open_still:
        with running_in(old.folder, bootstrap_servers=old_kafka.bootstrap):
            caller = open_still.enter_context(Memory(home=old.folder, bootstrap_servers=old_kafka.bootstrap))
            with pytest.raises(StackRunning, match="a stack runs"):
                repartition_home(old, NOW, new, cluster=onto(new_kafka))
            assert not (old.folder / MOVED).exists()
        made = repartition_home(old, NOW, new, cluster=onto(new_kafka))
        assert (made.was, made.now) == (WAS, NOW)
        with pytest.raises(InvalidInput, match="repartitioned into"):
            caller.add("nobody would find it", user_id=USERS[0], infer=False)
    for topic, partition in before.log:
        assert records(reader_of(old), topic, partition) == before.log[topic, partition], "nothing came to it"
    with pytest.raises(InvalidInput, match=f"MEMFOLD_BOOTSTRAP_SERVERS={servers} memfold up --home {new}"):
        check_before_start(old)
    for words in (("worker",), ("list", "--user", USERS[0])):
        refused = cli(old.folder, *words, servers=old_kafka.bootstrap)
        assert refused.returncode == 1, words
        assert "repartitioned into" in " ".join(refused.stderr.split()), words
    # Whoever forgets to change the address.
    refused = cli(new, "worker", servers=old_kafka.bootstrap)
    assert refused.returncode == 1
    assert f"has {WAS} partitions, and this log was made with {NOW}" in " ".join(refused.stderr.split())
    _goes_on(before, new, servers)
    delete_topics(new_kafka)
    restored = cli(new, "restore", "--archive", str(new / "archive"), servers=servers)
    assert restored.returncode == 0, restored.stdout + restored.stderr
    with running_in(new, bootstrap_servers=servers) as settings:
        reader = reader_of(settings)
        stands_where_it_should(before, reader, NOW)
        with Memory(home=new, bootstrap_servers=servers) as memory:
            assert [one["memory"] for one in memory.get_all(user_id=USERS[0])["results"]][-1] == "it goes on"


def _goes_on(before: Before, new: Path, servers: str) -> None:
    with running_in(new, bootstrap_servers=servers) as settings:
        stands_where_it_should(before, reader_of(settings), NOW)
        assert_told_the_same(told(new, servers), before.told, before.seed)
        with Memory(home=new, bootstrap_servers=servers) as memory:
            acknowledged: list[str] = []
            for user in USERS:
                memory.add("I met Sarah from Google", user_id=user, idempotency_key="met")
                assert memory.get_all(user_id=user)["results"] == before.told[user]["memories"], "counts once"
                done = memory.add("it goes on", user_id=user, infer=False)
                acknowledged.append(done["receipt"]["command_id"])
        asyncio.run(settled(settings))
        the_log_verifies(settings)


def test_killed_at_any_point_it_goes_on_at_the_same_cluster(
    before: Before, old: Settings, old_kafka: Broker, new_kafka: Broker, tmp_path: Path
) -> None:
    new, chance = tmp_path / "new", random.Random()
    argv = [sys.executable, "-m", "memfold.serve.cli", "replay", "repartition", "--partitions", str(NOW)]
    argv += ["--into", str(new), "--home", str(old.folder), "--bootstrap-servers", old_kafka.bootstrap]
    argv += ["--into-bootstrap-servers", new_kafka.bootstrap]
    # As if killed between the two marks: the old home is fenced, the new one is an empty home.
    cluster = cluster_of(Connection(bootstrap_servers=new_kafka.bootstrap))
    write(old.folder / MOVED, Moved(str(new), NOW, cluster, new_kafka.bootstrap))
    prepare_home(new)
    shards = len(KEPT) * NOW
    kills = [0, chance.randrange(1, shards), chance.randrange(shards, shards + 2 * NOW)]
    for lines in kills:
        kill_after(argv, lines, new)
        with pytest.raises(InvalidInput, match="repartitioned into"):
            check_before_start(old)
        with pytest.raises(InvalidInput, match="has not ended"):
            Parts.open(settings_from(home=new), new_kafka.bootstrap, ["caller"])
    with pytest.raises(InvalidInput, match="run that again, it goes on"):
        repartition_home(old, NOW, new, cluster=onto(old_kafka))
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, (kills, done.stderr)
    assert f"{len(before.log[COMMANDS, 0])} of them there before" in done.stdout, "it went on"
    assert made_from(new) is not None
    with running_in(new, bootstrap_servers=new_kafka.bootstrap) as settings:
        assert_told_the_same(told(new, new_kafka.bootstrap), before.told, (before.seed, kills))
        asyncio.run(settled(settings))


def test_refused_while_anybody_follows_the_log_on_any_machine(
    old: Settings, old_kafka: Broker, new_kafka: Broker, tmp_path: Path
) -> None:
    def refused(match: str) -> None:
        with pytest.raises(StackRunning, match=match):
            repartition_home(old, NOW, tmp_path / "new", cluster=onto(new_kafka))
        assert moved_from(old.folder) is None
        assert not topics_of(new_kafka)

    worker = subprocess.Popen(
        [sys.executable, "-m", "memfold.serve.cli", "worker"],
        env={**os.environ, **environment_of(old)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not addresses(old.folder):
            assert worker.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        refused(rf"workers of .* run: .*decide.* \(process {worker.pid}\)")
        # As of another machine: the home knows of none that lives here.
        for said in (old.folder / "run" / "views").glob("*.json"):
            said.unlink()
        refused(r"workers follow the log at .*memfold-decide \(")
    finally:
        worker.kill()
        worker.wait()
    # A member of its groups for as long as its session lasts, and that is waited for.
    assert repartition_home(old, NOW, tmp_path / "new", cluster=onto(new_kafka)).now == NOW


def test_what_is_refused_leaves_both_as_they_were(
    before: Before, old: Settings, old_kafka: Broker, new_kafka: Broker, tmp_path: Path
) -> None:
    new, there = tmp_path / "new", Connection(bootstrap_servers=new_kafka.bootstrap)
    with pytest.raises(InvalidInput, match="name another cluster"):
        repartition_home(old, NOW, new)
    with pytest.raises(RestoreRefused, match="is the cluster of the old log"):
        repartition_home(old, NOW, new, cluster=onto(old_kafka))
    swapped = old.model_copy(update={"bootstrap_servers": new_kafka.bootstrap})
    with pytest.raises(InvalidInput, match=r"memfold\.commands, .*: not there at "):
        repartition_home(swapped, NOW, new, cluster=onto(old_kafka))
    assert not topics_of(new_kafka), "the wrong address was only looked at"
    ensure_topics(there, TopicPlan(WAS))
    with pytest.raises(
        InvalidInput, match=r"is archived in .*, and the log ends at 0: it is not this home's log"
    ):
        repartition_home(swapped, NOW, new, cluster=onto(old_kafka))
    with pytest.raises(RestoreRefused, match=rf"memfold\.events has {WAS} partitions, not {NOW}"):
        repartition_home(old, NOW, new, cluster=onto(new_kafka))
    delete_topics(new_kafka)
    ensure_topics(there, TopicPlan(NOW))
    _append(there, QUARANTINE, 0, b"{}\nput aside")
    with pytest.raises(
        RestoreRefused, match=r"^memfold\.quarantine/0 has had 1 records: .* Nothing was written"
    ):
        repartition_home(old, NOW, new, cluster=onto(new_kafka))
    assert not new.exists()
    check_before_start(old)
    # Empty topics that somebody made are taken.
    delete_topics(new_kafka)
    ensure_topics(there, TopicPlan(NOW))
    assert repartition_home(old, NOW, new, cluster=onto(new_kafka)).now == NOW
    with closing(reader_of(settings_from(home=new, bootstrap_servers=new_kafka.bootstrap))) as reader:
        stands_where_it_should(before, reader, NOW)


def test_who_writes_to_the_old_log_all_the_same_is_noticed_and_taken_along(
    before: Before, old: Settings, old_kafka: Broker, new_kafka: Broker, tmp_path: Path
) -> None:
    """Somebody who knows nothing of the home sends a command again while the log is copied. Last: the old log is longer afterwards."""
    new, again = tmp_path / "new", before.log[COMMANDS, 0][0]
    late: list[Restored] = []

    def filled(one: Restored) -> None:
        late.append(one)
        if len(late) == 1:
            _append(Connection(bootstrap_servers=old_kafka.bootstrap), COMMANDS, 0, again.value, again.key)

    with pytest.raises(
        RestoreRefused, match=r"the old log grew while it was read: memfold\.commands/0 by 1 records"
    ):
        repartition_home(old, NOW, new, filled, cluster=onto(new_kafka))
    with pytest.raises(TopicMisconfigured, match="CreateTime"):
        ensure_topics(Connection(bootstrap_servers=new_kafka.bootstrap), TopicPlan(NOW))
    made = repartition_home(old, NOW, new, cluster=onto(new_kafka))
    assert made.ends()[COMMANDS, 0] == len(before.log[COMMANDS, 0]) + 1
    with running_in(new, bootstrap_servers=new_kafka.bootstrap) as settings:
        asyncio.run(settled(settings))
        assert_told_the_same(told(new, new_kafka.bootstrap), before.told, before.seed)


def _append(connection: Connection, topic: str, partition: int, value: bytes, key: bytes = b"k") -> None:
    writer = LogWriter(connection)
    try:
        asyncio.run(writer.append(topic, partition, [(key, value)]))
    finally:
        writer.close()
