"""More partitions out of fewer, on real Kafka: everybody's memories, relations and history are as before, and writing goes on."""

from __future__ import annotations

import asyncio
import random
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from memfold import Memory
from memfold.infra.home import prepare_home
from memfold.memory.errors import InvalidInput
from memfold.schemas.elsewhere import is_elsewhere
from memfold.schemas.partitions import COMMANDS, EVENTS, KEPT, partition_of_key
from memfold.serve.embedded import check_before_start
from memfold.serve.repartitioned import BEGUN, MOVED, Moved, made_from, write
from memfold.serve.repartitioning import repartition_home
from memfold.serve.seals import Checking, seal_now
from memfold.serve.settings import Settings, settings_from
from tests.serve.checks import reader_of, records, settled
from tests.serve.stacks import running_in

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
WAS, NOW = 2, 8
USERS = [f"user {number}" for number in range(9)]


def lived(memory: Memory, user: str, chance: random.Random) -> None:
    """A history of somebody, with a retry that counts once and a memory taken back."""
    memory.add("I met Sarah from Google", user_id=user, idempotency_key="met")
    for _ in range(chance.randrange(3, 7)):
        known = [one["id"] for one in memory.get_all(user_id=user)["results"]]
        match chance.randrange(5):
            case 0 if len(known) > 1:
                gone = chance.choice(known)
                memory.delete(gone)
                memory.revert(gone, "it was right")
            case 1 if known:
                memory.update(chance.choice(known), f"changed to {chance.random()}")
            case 2:
                memory.add(chance.choice(["I like coffee", "Actually, I prefer tea now"]), user_id=user)
            case 3:
                memory.delete_all(user_id=user, run_id="never")
            case _:
                memory.add(f"fact {chance.random()}", user_id=user, infer=False)
    memory.search("coffee", user_id=user)


def told(home: Path) -> dict[str, Any]:
    """What everybody is told, but for the number of a partition."""
    found: dict[str, Any] = {}
    with Memory(home=home) as memory:
        for user in USERS:
            everything = memory.get_all(user_id=user)["results"]
            found[user] = {
                "memories": everything,
                "relations": memory.relations(user_id=user, ended=True),
                "history": [_without_partition(memory.history(one["id"])) for one in everything],
                "blame": [_without_partition(memory.audit.blame(one["id"])) for one in everything],
                "then": _without_partition(memory.audit.as_of("2100-01-01", user_id=user)),
            }
    return found


def assert_told_the_same(now: dict[str, Any], then: dict[str, Any], seed: object) -> None:
    """Part by part, so that what differs is short enough to be read."""
    for user, parts in then.items():
        for name, part in parts.items():
            assert now[user][name] == part, f"{user}, {name}, seed {seed}"


def _without_partition(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_partition(inner) for name, inner in value.items() if name != "partition"}
    return [_without_partition(inner) for inner in value] if isinstance(value, list) else value


class Before:
    """A home whose stack is stopped, and what it was like while it ran."""

    def __init__(self, home: Path) -> None:
        self.seed = random.Random().randrange(2**32)
        chance = random.Random(self.seed)
        with running_in(home, partitions=WAS) as self.settings:
            with Memory(home=home, tenant="zeta") as other:
                other.add("I live in Bergen", user_id="user 1")
                other.reset()
                self.zeta = [
                    one["id"] for one in other.add("I am back", user_id="user 1", infer=False)["results"]
                ]
            with Memory(home=home) as memory:
                for user in USERS:
                    lived(memory, user, chance)
            asyncio.run(settled(self.settings))
            seal_now(self.settings)
            self.told = told(home)
            asyncio.run(settled(self.settings))
            reader = reader_of(self.settings)
            self.log = {(topic, p): records(reader, topic, p) for topic in KEPT for p in range(WAS)}


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


def ids_in(log: list[Any]) -> int:
    return sum(not is_elsewhere(record) for record in log)


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
        for (topic, partition), log in before.log.items():
            for record in log:
                own = partition_of_key(record.key, NOW)
                here = own if own % WAS == partition else partition
                (there,) = next(reader.read(topic, here, record.offset, record.offset + 1))
                assert (there.key, there.value, there.timestamp_ms) == (
                    record.key,
                    record.value,
                    record.timestamp_ms,
                )
        assert_told_the_same(told(new), before.told, before.seed)
        spread = [partition for partition in range(NOW) if ids_in(records(reader, EVENTS, partition))]
        assert len(spread) > WAS, "the subjects spread"
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


def _kill_after(argv: list[str], lines: int, new: Path) -> None:
    """Killed when it has told of so many partitions and shards; of none: as soon as it has begun."""
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        assert process.stdout is not None
        for _ in range(lines):
            assert process.stdout.readline(), "it ended before it was killed"
        while not lines and not (new / BEGUN).exists():
            assert process.poll() is None
            select.select([process.stdout], [], [], 0.05)
        process.send_signal(signal.SIGKILL)


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
        _kill_after(argv, lines, new)
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


def test_what_is_refused_leaves_the_old_home_as_it_was(old: Settings, tmp_path: Path) -> None:
    for count in (1, 2, 3):
        with pytest.raises(InvalidInput, match="multiple"):
            repartition_home(old, count, tmp_path / "new")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(InvalidInput, match="something else"):
        repartition_home(old, NOW, tmp_path / "full")
    with pytest.raises(InvalidInput, match="bootstrap_servers"):
        repartition_home(old.model_copy(update={"bootstrap_servers": "127.0.0.1:1"}), NOW, tmp_path / "new")
    assert not (old.folder / MOVED).exists()
    check_before_start(old)
