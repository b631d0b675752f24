"""A home that somebody lived with, to be repartitioned, and what has to be the same afterwards."""

from __future__ import annotations

import asyncio
import random
import select
import signal
import subprocess
from pathlib import Path
from typing import Any

from memfold import Memory
from memfold.schemas.elsewhere import is_elsewhere
from memfold.schemas.partitions import EVENTS, KEPT, partition_of_key
from memfold.serve.repartitioned import BEGUN
from memfold.serve.seals import seal_now
from memfold.streams.reader import LogReader
from tests.serve.checks import reader_of, records, settled
from tests.serve.stacks import running_in

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


def told(home: Path, servers: str | None = None) -> dict[str, Any]:
    """What everybody is told, but for the number of a partition."""
    found: dict[str, Any] = {}
    with Memory(home=home, bootstrap_servers=servers) as memory:
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
    """A home whose stack is stopped, and what it was like while it ran. `servers`: a Kafka of one's own."""

    def __init__(self, home: Path, servers: str | None = None) -> None:
        self.seed = random.Random().randrange(2**32)
        chance = random.Random(self.seed)
        with running_in(home, partitions=WAS, bootstrap_servers=servers) as self.settings:
            with Memory(home=home, bootstrap_servers=servers, tenant="zeta") as other:
                other.add("I live in Bergen", user_id="user 1")
                other.reset()
                self.zeta = [
                    one["id"] for one in other.add("I am back", user_id="user 1", infer=False)["results"]
                ]
            with Memory(home=home, bootstrap_servers=servers) as memory:
                for user in USERS:
                    lived(memory, user, chance)
            asyncio.run(settled(self.settings))
            seal_now(self.settings)
            self.told = told(home, servers)
            asyncio.run(settled(self.settings))
            reader = reader_of(self.settings)
            self.log = {(topic, p): records(reader, topic, p) for topic in KEPT for p in range(WAS)}


def stands_where_it_should(before: Before, reader: LogReader, now: int) -> None:
    """Every old record at its offset, in the partition of its subject, with its bytes and time."""
    for (topic, partition), log in before.log.items():
        for record in log:
            own = partition_of_key(record.key, now)
            here = own if own % WAS == partition else partition
            (there,) = next(reader.read(topic, here, record.offset, record.offset + 1))
            assert (there.key, there.value, there.timestamp_ms) == (
                record.key,
                record.value,
                record.timestamp_ms,
            )
    spread = [each for each in range(now) if not all(map(is_elsewhere, records(reader, EVENTS, each)))]
    assert len(spread) > WAS, "the subjects spread"


def kill_after(argv: list[str], lines: int, new: Path) -> None:
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
