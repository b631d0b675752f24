"""Somebody adds partitions to memfold's topics, past memfold: everything refuses by name, and both ways back bring all that was there."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from memfold import Memory
from memfold.infra.broker import Broker
from memfold.memory.errors import TopicMisconfigured
from memfold.schemas.partitions import COMMANDS, KEPT, QUARANTINE, SEALS
from memfold.serve.repartitioning import repartition_home
from memfold.serve.seals import seal_now
from memfold.serve.settings import settings_from
from tests.serve.checks import everything_holds, settled
from tests.serve.owning import owners
from tests.serve.stacks import running_in, servers_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
WAS, ADDED = 2, 4
USERS = [f"user {number}" for number in range(12)]
REFUSED = rf"has {ADDED} partitions, .*was made with {WAS}: somebody changed that"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A Kafka of one's own."""
    with Broker(tmp_path_factory.mktemp("own")) as broker:
        yield broker


def told(home: Path, servers: str | None = None) -> dict[str, list[str]]:
    with Memory(home=home, bootstrap_servers=servers) as memory:
        return {user: [one["memory"] for one in memory.get_all(user_id=user)["results"]] for user in USERS}


def lived(home: Path, servers: str | None = None) -> list[str]:
    with Memory(home=home, bootstrap_servers=servers) as memory:
        done = [
            memory.add(f"fact {number} of {user}", user_id=user, infer=False)
            for user in USERS
            for number in range(3)
        ]
    return [one["receipt"]["command_id"] for one in done]


def add_partitions(servers: str) -> None:
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    for made in admin.create_partitions([NewPartitions(topic, ADDED) for topic in KEPT]).values():
        made.result()


def cli(home: Path, *words: str, servers: str | None = None) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "memfold.serve.cli", *words, "--home", str(home)]
    variables = {"MEMFOLD_BOOTSTRAP_SERVERS": servers, "MEMFOLD_PARTITIONS": str(WAS)} if servers else {}
    return subprocess.run(argv, env={**os.environ, **variables}, capture_output=True, text=True, check=False)


def test_a_running_stack_refuses_and_repartitioning_is_the_way_on(tmp_path: Path) -> None:
    home, new = tmp_path / "home", tmp_path / "new"
    with running_in(home, partitions=WAS) as settings:
        acknowledged = lived(home)
        before = told(home)
        asyncio.run(settled(settings))
        add_partitions(servers_of(settings))
        with pytest.raises(TopicMisconfigured, match=REFUSED), Memory(home=home) as memory:
            memory.get_all(user_id=USERS[0])
        (pid,) = asyncio.run(owners(settings))
        os.kill(pid, signal.SIGKILL)
        # Started again it says why it does not start, again and again.
        log = home / "logs" / "worker.log"
        asyncio.run(_until(lambda: _flat(log.read_text()).count("somebody changed that") > 1))
        assert "Traceback" not in log.read_text()
    files = {name: _ends(home, name) for name in ("archive", "projections")}
    refused = cli(home, "up", "--plain")
    assert refused.returncode == 1
    assert "somebody changed that" in _flat(refused.stderr + refused.stdout + log.read_text())
    assert {name: _ends(home, name) for name in ("archive", "projections")} == files
    repartition_home(settings_from(home=home, partitions=WAS), ADDED, new)
    with running_in(new) as settings:
        assert told(new) == before
        asyncio.run(everything_holds(settings.model_copy(update={"partitions": ADDED}), acknowledged))


def test_on_a_kafka_of_ones_own_the_topics_are_made_anew_from_the_archive(
    kafka: Broker, tmp_path: Path
) -> None:
    home, servers = tmp_path / "home", kafka.bootstrap
    given: dict[str, Any] = {"partitions": WAS, "bootstrap_servers": servers}
    with running_in(home, **given) as settings:
        lived(home, servers)
        before = told(home, servers)
    add_partitions(servers)
    for words in (("worker",), ("status",), ("list", "--user", USERS[0])):
        refused = cli(home, *words, servers=servers)
        assert refused.returncode == 1, words
        # Where none runs, a verb starts a stack of its own: its worker says why it does not.
        log = (home / "logs" / "worker.log").read_text() if words[0] == "list" else ""
        assert "somebody changed that" in _flat(refused.stderr + refused.stdout + log), words
    seal_now(settings)
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    for gone in admin.delete_topics([*KEPT, QUARANTINE, SEALS], operation_timeout=30).values():
        gone.result()
    restored = cli(home, "restore", "--archive", str(home / "archive"), servers=servers)
    assert restored.returncode == 0, restored.stdout + restored.stderr
    with running_in(home, **given) as settings:
        assert told(home, servers) == before
        again = lived(home, servers)
        asyncio.run(everything_holds(settings, again))
        assert len(admin.list_topics(COMMANDS, timeout=10).topics[COMMANDS].partitions) == WAS


def _flat(said: str) -> str:
    """As one line, however wide the terminal was taken to be."""
    return " ".join(said.split())


def _ends(home: Path, folder: str) -> dict[str, int]:
    return {str(path): path.stat().st_size for path in sorted((home / folder).rglob("*")) if path.is_file()}


async def _until(holds: Any) -> None:
    async with asyncio.timeout(180):
        while not holds():  # noqa: ASYNC110 - in a file of another process
            await asyncio.sleep(0.2)
