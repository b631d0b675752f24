"""From nothing: Kafka and the projections are gone, the archive, the key store and the seals bring everything back."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from memfold import Memory
from memfold.infra.broker import Broker
from memfold.memory.errors import RestoreRefused, TopicMisconfigured
from memfold.projections.archive_source import ArchiveSource
from memfold.projections.base import Standing
from memfold.replay.restoring import lost_commands
from memfold.schemas.errors import WrongKey
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import COMMANDS, EVENTS, KEPT, partition_of
from memfold.schemas.records import LogRecord
from memfold.serve.embedded import EmbeddedStack
from memfold.serve.partition_count import FILE
from memfold.serve.replaying import rebuild_served, standings_of_workers
from memfold.serve.restoring import RECORD, Told, restore_home
from memfold.serve.seals import Checking, seal_now
from memfold.serve.settings import Settings, settings_from
from memfold.streams.reader import LogReader
from memfold.streams.topics import ensure_topics
from tests.serve.checks import everything_holds, reader_of, records, settled

Log = dict[tuple[str, int], list[LogRecord]]


class Before:
    """A home whose stack is stopped, and what it was like while it ran."""

    def __init__(self, home: Path) -> None:
        self.settings = settings_from(home=home, partitions=2)
        chance = random.Random()
        self.seed = chance.randrange(2**32)
        chance.seed(self.seed)
        self.users = _users(self.settings)
        running = EmbeddedStack.start(self.settings)
        try:
            with Memory(home=home) as memory:
                for user in self.users:
                    _live(memory, user, chance)
                    memory.search("coffee", user_id=user)
                self.found = {user: memory.get_all(user_id=user)["results"] for user in self.users}
                self.relations = {user: memory.relations(user_id=user) for user in self.users}
                self.history = memory.history(self.found[self.users[0]][0]["id"])
            asyncio.run(settled(self.settings))
            seal_now(self.settings)
            self.standings = asyncio.run(standings_of_workers(self.settings))
            self.rebuilt = {
                source: {
                    (one.projection, shard.task.partition): shard.digest
                    for one in rebuild_served(
                        self.settings, ["vector", "graph"], source, lambda built: None, digests=True
                    )
                    for shard in one.shards
                }
                for source in ("kafka", "archive")
            }
            self.log = _log(reader_of(self.settings))
        finally:
            running.stop()


def _users(settings: Settings) -> list[str]:
    """Five, in both partitions, none of whom would be in the same one of five: subjects are random, and a few may fit another count."""
    names = (f"user {number}" for number in count())
    with closing(KeyStore(settings.folder / "keys.db", settings.key_encrypting_key())) as keys:

        def found_in(name: str, partitions: int) -> int:
            subject = keys.subject_of(settings.tenant, "user", name)
            return partition_of(settings.tenant, subject, partitions)

        return [
            next(name for name in names if found_in(name, 2) == where != found_in(name, 5))
            for where in (0, 1, 0, 1, 0)
        ]


def _live(memory: Memory, user: str, chance: random.Random) -> None:
    """A history of somebody: said, corrected, changed and deleted in no order."""
    memory.add("I met Sarah from Google", user_id=user)
    for _ in range(chance.randrange(3, 9)):
        known = [one["id"] for one in memory.get_all(user_id=user)["results"]]
        match chance.randrange(4):
            case 0 if len(known) > 1:
                memory.delete(chance.choice(known))
            case 1 if known:
                memory.update(chance.choice(known), f"changed to {chance.random()}")
            case 2:
                memory.add(chance.choice(["I like coffee", "Actually, I prefer tea now"]), user_id=user)
            case _:
                memory.add(f"fact {chance.random()}", user_id=user, infer=False)


def _log(reader: LogReader) -> Log:
    return {(topic, partition): records(reader, topic, partition) for topic in KEPT for partition in range(2)}


def _digests(standings: dict[tuple[str, int], Standing]) -> dict[tuple[str, int], str]:
    return {shard: one.digest for shard, one in standings.items()}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Before:
    return Before(tmp_path_factory.mktemp("restored") / "home")


@pytest.fixture
def lost(before: Before, tmp_path: Path) -> Settings:
    """A copy of the home without Kafka and projections."""
    home = tmp_path / "home"
    shutil.copytree(
        before.settings.folder, home, ignore=shutil.ignore_patterns("kafka", "projections", "run", "logs")
    )
    return settings_from(home=home, partitions=2)


@pytest.fixture
def running(lost: Settings) -> Iterator[list[EmbeddedStack]]:
    started: list[EmbeddedStack] = []
    yield started
    for stack in started:
        stack.stop()


@pytest.mark.timeout(600)
def test_what_was_live_is_rebuilt_and_restored_the_same(
    before: Before, lost: Settings, running: list[EmbeddedStack], tmp_path: Path
) -> None:
    # The archive is a copy elsewhere, and the ledgers are from before the loss.
    kept = (lost.folder / "archive").rename(tmp_path / "kept")
    whole = restore_home(lost, kept, Told())
    assert whole.equal, f"seed {before.seed}: {whole.compared}"
    assert whole.unreadable == 0
    running.append(EmbeddedStack.start(lost))
    assert _log(reader_of(lost)) == before.log, "offsets, keys, bytes and times"
    live = _digests(before.standings)
    assert before.rebuilt == {"kafka": live, "archive": live}, f"seed {before.seed}"
    asyncio.run(settled(lost))
    assert _digests(asyncio.run(standings_of_workers(lost))) == live, f"seed {before.seed}"

    checking = Checking(lost, log=True, key=None)
    report = checking.verify([], [], 0, True, lambda _: None)
    checking.close()
    assert report.ok, report.findings
    assert report.counts.seals > 0
    with Memory(home=lost.home) as memory:
        user = before.users[0]
        for each in before.users:
            assert memory.get_all(user_id=each)["results"] == before.found[each]
            assert memory.relations(user_id=each) == before.relations[each]
        assert memory.history(before.found[user][0]["id"]) == before.history
        new = memory.add("and it goes on", user_id=user, infer=False)["results"][0]["id"]
        assert memory.search("it goes on", user_id=user)["results"][0]["id"] == new
    asyncio.run(everything_holds(lost, []))
    told = json.loads((lost.folder / RECORD).read_text())
    assert {(one["topic"], one["partition"]): one["records"] for one in told["partitions"]} == {
        tree: len(found) for tree, found in before.log.items()
    }


def _interrupted(lost: Settings, chance: random.Random, kills: int) -> None:
    """Kill restores at random points; the last one runs to its end."""
    command = [sys.executable, "-m", "memfold.serve.cli", "restore", "--home", str(lost.folder), "--json"]
    command += ["--archive", str(lost.folder / "archive")]
    environment = {"MEMFOLD_PARTITIONS": "2", "PATH": "/usr/bin:/bin", "HOME": str(Path.home())}
    for _ in range(kills):
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            process.wait(chance.uniform(1, 7))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), said
    assert restore_home(lost, lost.folder / "archive", Told()).equal


def _killed_and_whole(before: Before, lost: Settings, running: list[EmbeddedStack], kills: int) -> None:
    chance = random.Random(before.seed)
    _interrupted(lost, chance, kills)
    running.append(EmbeddedStack.start(lost))
    assert _log(reader_of(lost)) == before.log
    asyncio.run(everything_holds(lost, []))
    assert _digests(asyncio.run(standings_of_workers(lost))) == _digests(before.standings)


@pytest.mark.timeout(600)
def test_a_restore_that_is_killed_goes_on(
    before: Before, lost: Settings, running: list[EmbeddedStack]
) -> None:
    _killed_and_whole(before, lost, running, 2)


@pytest.mark.long
def test_a_restore_that_is_killed_ten_times_goes_on(
    before: Before, lost: Settings, running: list[EmbeddedStack]
) -> None:
    _killed_and_whole(before, lost, running, 10)


def interrupt(_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.timeout(300)
def test_nothing_starts_over_half_a_log_and_nothing_is_written_over(before: Before, lost: Settings) -> None:
    """While a restore is not finished nothing else starts; once it is, the log is not overwritten by another archive."""
    archive = lost.folder / "archive"
    with Broker(lost.folder) as broker:
        live = lost.model_copy(update={"bootstrap_servers": broker.bootstrap})
        connection = live.connection(broker.bootstrap)

        with pytest.raises(KeyboardInterrupt):
            restore_home(live, archive, Told(restored=interrupt))
        with pytest.raises(TopicMisconfigured, match="`memfold restore` was interrupted, run it again"):
            ensure_topics(connection, live.topic_plan())
        assert restore_home(live, archive, Told()).equal
        assert ensure_topics(connection, live.topic_plan()) == 2
        # A whole log is no empty one: another archive is refused, and nothing is written.
        shutil.rmtree(lost.folder / "seals")
        for segment in (archive / EVENTS).glob("*.parquet"):
            segment.unlink()
        with pytest.raises(RestoreRefused, match=r"memfold\.\w+/\d holds \d+ records, the archive has \d+"):
            restore_home(live, archive, Told())


def test_what_cannot_be_restored_is_refused_before_anything_is_written(lost: Settings) -> None:
    archive = lost.folder / "archive"
    known = lost.folder / FILE
    known.write_text("5\n")
    with pytest.raises(RestoreRefused, match="is this archive of this home's log"):
        restore_home(lost, archive, Told())
    known.unlink()
    with pytest.raises(RestoreRefused, match=r"set MEMFOLD_PARTITIONS=2"):
        restore_home(lost.model_copy(update={"partitions": 5}), archive, Told())
    segment = sorted((archive / EVENTS).glob("*.parquet"))[-1]
    segment.rename(lost.folder / "away")
    with pytest.raises(RestoreRefused, match="the archive is not what was sealed"):
        restore_home(lost, archive, Told())
    (lost.folder / "away").rename(segment)
    (lost.folder / "keys.db").unlink()
    with pytest.raises(WrongKey, match=r"keys\.db is not there"):
        restore_home(lost, archive, Told())
    assert not (lost.folder / "kafka").exists()


@pytest.mark.timeout(300)
def test_an_archive_that_lags_restores_to_a_log_on_which_everything_new_is_decided(
    before: Before, lost: Settings, running: list[EmbeddedStack]
) -> None:
    """Partition 0 lost its events, of which the ledger knows; partition 1 lost its commands, whose events are archived."""
    archive = lost.folder / "archive"
    shutil.rmtree(lost.folder / "seals")
    for topic, partition in ((EVENTS, 0), (COMMANDS, 1)):
        for segment in (archive / topic).glob(f"{topic}-{partition:05d}-*.parquet"):
            segment.unlink()
    whole = restore_home(lost, archive, Told())
    written = len(before.log[COMMANDS, 1])
    assert [one.lost for one in whole.partitions if one.lost] == [written]
    running.append(EmbeddedStack.start(lost))
    with Memory(home=lost.home) as memory:
        for user in before.users:
            memory.add("said after the loss", user_id=user, infer=False)
            assert memory.search("said after the loss", user_id=user)["results"], user
    asyncio.run(settled(lost))
    log = _log(reader_of(lost))
    assert log[COMMANDS, 0][: len(before.log[COMMANDS, 0])] == before.log[COMMANDS, 0]
    assert len(log[EVENTS, 0]) == len(log[COMMANDS, 0]), "decided again, each once"
    assert log[EVENTS, 1][:written] == before.log[EVENTS, 1]
    assert len(log[EVENTS, 1]) == len(log[COMMANDS, 1]), "what is new stands behind what was lost"


def test_a_command_that_was_not_archived_keeps_its_offset(before: Before, lost: Settings) -> None:
    """Its event is archived: a new command at its offset would count as decided."""
    archive = lost.folder / "archive"
    keys = KeyStore(lost.folder / "keys.db", lost.key_encrypting_key())
    for partition in range(2):
        assert lost_commands(archive, partition, keys) == []
        written = len(before.log[COMMANDS, partition])
        for segment in (archive / COMMANDS).glob(f"{COMMANDS}-{partition:05d}-*.parquet"):
            segment.unlink()
        found = lost_commands(archive, partition, keys)
        assert [record.offset for record in found] == list(range(written))
        assert ArchiveSource(archive).position(COMMANDS, partition) == -1
    keys.close()
