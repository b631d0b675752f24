"""Ingests over a running stack: lines, topics, what strangers produce, and kills."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic

from memfold import AsyncMemory, Memory
from memfold.infra.kafka_jars import kafka_jars
from memfold.memory.errors import InvalidInput
from memfold.serve.settings import Settings
from memfold.streams.topics import admin_of
from tests.serve.stacks import servers_of
from tests.serve.test_cli import run

EXAMPLES = Path(__file__).parents[2] / "examples" / "producers"
MAPPING = """
source = "{source}"
infer = false
[fields]
user_id = "who"
text = "said"
"""


def made_topic(stack: Settings, partitions: int = 2) -> str:
    topic = f"chats-{uuid.uuid4().hex[:8]}"
    admin = admin_of(stack.connection(servers_of(stack)))
    (made,) = admin.create_topics([NewTopic(topic, partitions, 1)]).values()
    made.result()
    return topic


def produce(stack: Settings, topic: str, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": servers_of(stack)})
    for number, value in enumerate(values):
        producer.produce(topic, value, str(number % 7))
    assert producer.flush(10) == 0


def line(user: str, number: int) -> str:
    return json.dumps({"who": user, "said": f"said {number}"})


def texts(stack: Settings, user: str) -> list[str]:
    with Memory(home=stack.home) as memory:
        return sorted(one["memory"] for one in memory.get_all(user_id=user, limit=10_000)["results"])


def decided(stack: Settings, user: str) -> tuple[int, int]:
    """How many commands of a user count, and how many were written: the same words twice are one memory, so memories tell nothing."""
    with Memory(home=stack.home) as memory:
        (counted,) = memory.audit.sql("SELECT count(DISTINCT command_id) AS n FROM events", user_id=user).rows
        (written,) = memory.audit.sql("SELECT count(*) AS n FROM commands", user_id=user).rows
    return counted["n"], written["n"]


def report(stack: Settings, *words: str, status: int = 0) -> Any:
    return json.loads(run(stack, "ingest", *words, "--json", status=status))


def test_a_file_is_taken_in_once_and_what_is_refused_is_told(stack: Settings, tmp_path: Path) -> None:
    user, file, refused = f"lines-{uuid.uuid4().hex[:8]}", tmp_path / "chat.jsonl", tmp_path / "refused.jsonl"
    (tmp_path / "m.toml").write_text(MAPPING.format(source=user))
    told = ("jsonl", str(file), "--mapping", str(tmp_path / "m.toml"))
    lines = [line(user, 1), "no JSON", line(user, 1), '{"said": "whose?"}', line(user, 2)]
    file.write_text("".join(f"{each}\n" for each in lines))
    assert report(stack, *told, "--dry-run", status=1)["written"] == 3
    first = report(stack, *told, "--refused-to", str(refused), status=1)
    assert (first["read"], first["written"], first["decided"]) == (5, 3, True)
    assert [one["where"] for one in first["refused"]] == ["line 2", "line 4"]
    assert refused.read_text().splitlines() == ["no JSON", '{"said": "whose?"}']
    assert texts(stack, user) == ["said 1", "said 2"]
    # The same line twice is said twice, and decided twice.
    assert decided(stack, user) == (3, 3)
    assert report(stack, *told)["read"] == 0
    with file.open("a") as more:
        more.write(line(user, 3) + "\n")
    assert "1 read, 1 written, 0 refused" in run(stack, "ingest", *told)
    # Without its places, or under another name, everything is read again and nothing is new.
    shutil.copy(file, tmp_path / "copy.jsonl")
    assert report(stack, "jsonl", str(tmp_path / "copy.jsonl"), *told[2:], status=1)["written"] == 4
    assert texts(stack, user) == ["said 1", "said 2", "said 3"]
    assert decided(stack, user) == (4, 8)
    file.write_text(line(user, 9) + "\n")
    with pytest.raises(InvalidInput, match="--another-file"):
        run(stack, "ingest", *told)
    (tmp_path / "m.toml").write_text(MAPPING.format(source=user).replace('"said"', '"words"'))
    with pytest.raises(InvalidInput, match="text was said and is words"):
        run(stack, "ingest", *told)


def test_a_topic_goes_on_where_it_was_and_follows_until_it_is_told_to_stop(
    stack: Settings, tmp_path: Path
) -> None:
    user, topic = f"topic-{uuid.uuid4().hex[:8]}", made_topic(stack)
    (tmp_path / "m.toml").write_text(MAPPING.format(source=user))
    told = ("topic", topic, "--mapping", str(tmp_path / "m.toml"))
    produce(stack, topic, [line(user, n).encode() for n in range(20)] + [b"rubbish"])
    first = report(stack, *told, status=1)
    assert (first["read"], first["written"], first["decided"]) == (21, 20, True)
    assert first["refused"][0]["where"].startswith(f"{topic}/")
    assert report(stack, *told)["read"] == 0
    words = [sys.executable, "-m", "memfold.serve.cli", "ingest", *told, "--follow", "--json", "--home"]
    following = subprocess.Popen([*words, str(stack.folder)], stdout=subprocess.PIPE, text=True)
    produce(stack, topic, [line(user, n).encode() for n in range(20, 30)])
    with Memory(home=stack.home) as memory, memory.watch(user_id=user, since="2026-01-01") as changes:
        seen = {next(changes)["memory"] for _ in range(30)}
    following.send_signal(signal.SIGTERM)
    said, _ = following.communicate(timeout=60)
    assert following.returncode == 0
    assert json.loads(said)["written"] == 10
    assert seen == {f"said {n}" for n in range(30)}


def test_what_strangers_produce_in_three_languages_counts_once(stack: Settings, tmp_path: Path) -> None:
    topic, servers = made_topic(stack), servers_of(stack)
    commands = {"python": [sys.executable, str(EXAMPLES / "python" / "produce.py")]}
    if shutil.which("javac"):
        jars = ":".join(map(str, kafka_jars()))
        commands["java"] = ["java", "-cp", jars, str(EXAMPLES / "java" / "Produce.java")]
    if shutil.which("npm"):
        folder = shutil.copytree(EXAMPLES / "node", tmp_path / "node")
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True)
        commands["node"] = ["node", str(folder / "produce.js")]
    for command in commands.values():
        done = subprocess.run([*command, servers, topic], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("written: ") == 2
    assert report(stack, "topic", topic)["written"] == 2 * len(commands)
    for language in commands:
        with Memory(home=stack.home) as memory:
            (one,) = memory.get_all(user_id=f"{language}-user")["results"]
        assert one["metadata"] == {"channel": "web"}
        assert decided(stack, f"{language}-user") == (1, 2)
    if missing := {"java", "node"} - commands.keys():
        pytest.skip(f"not run, because this machine has no tools for it: {', '.join(sorted(missing))}")


@pytest.mark.parametrize(
    ("many", "kills"),
    [(1_500, 1), pytest.param(6_000, 6, marks=[pytest.mark.long, pytest.mark.timeout(1200)])],
)
async def test_killed_in_the_middle_it_creates_nothing_twice(
    stack: Settings, tmp_path: Path, many: int, kills: int
) -> None:
    user, file = f"killed-{uuid.uuid4().hex[:8]}", tmp_path / "many.jsonl"
    (tmp_path / "m.toml").write_text(MAPPING.format(source=user))
    file.write_text("".join(line(user, n) + "\n" for n in range(many)))
    told = ("ingest", "jsonl", str(file), "--mapping", str(tmp_path / "m.toml"))
    command = [sys.executable, "-m", "memfold.serve.cli", *told, "--home", str(stack.folder)]
    killed = 0
    async with AsyncMemory(home=stack.home) as memory:
        before = 0
        for _ in range(kills):
            ingest = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
            # Among its first commands: their place is not yet kept, or only just.
            while await held(memory, user) <= before:
                if ingest.returncode is not None:
                    break
                await asyncio.sleep(0.01)
            if ingest.returncode is None:
                ingest.kill()
                killed += 1
            await ingest.wait()
            before = await held(memory, user)
        assert killed
        if kills == 1:
            # Nothing rests on the places: a home that lost them begins at the first line.
            shutil.rmtree(stack.folder / "ingest")
        done = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
        assert await done.wait() == 0
        found = (await memory.get_all(user_id=user, limit=10_000))["results"]
    assert sorted(one["memory"] for one in found) == sorted(f"said {n}" for n in range(many))
    counted, written = await asyncio.to_thread(decided, stack, user)
    assert counted == many
    # With its places gone it wrote some of them a second time.
    assert kills > 1 or written > many


async def held(memory: AsyncMemory, user: str) -> int:
    return len((await memory.get_all(user_id=user, limit=10_000))["results"])
