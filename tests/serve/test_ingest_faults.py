"""What an ingest goes through: another cluster, standard input, retention, a broker that is killed under it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from memfold import Memory
from memfold.infra.broker import Broker
from memfold.memory.errors import SourceTruncated
from memfold.serve.settings import Settings
from tests.serve.stacks import pid_of, running_in, servers_of
from tests.serve.test_cli import run
from tests.serve.test_ingest import (
    MAPPING,
    decided,
    line,
    made_topic,
    produce,
    report,
    texts,
)


@pytest.fixture
def user() -> str:
    return f"faults-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def mapping(tmp_path: Path, user: str) -> str:
    (tmp_path / "m.toml").write_text(MAPPING.format(source=user))
    return str(tmp_path / "m.toml")


def command(stack: Settings, *words: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "memfold.serve.cli",
        "ingest",
        *words,
        "--json",
        "--home",
        str(stack.folder),
    ]


def test_a_topic_of_another_cluster_is_taken_in(
    stack: Settings, broker: Broker, user: str, mapping: str
) -> None:
    topic = f"chats-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    (made,) = admin.create_topics([NewTopic(topic, 1, 1)]).values()
    made.result()
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    producer.produce(topic, line(user, 1))
    assert producer.flush(10) == 0
    told = ("topic", topic, "--from", broker.bootstrap, "--mapping", mapping)
    assert report(stack, *told)["written"] == 1
    assert report(stack, *told)["read"] == 0
    assert texts(stack, user) == ["said 1"]


def test_standard_input_is_taken_in_and_the_same_lines_in_a_file_count_no_second_time(
    stack: Settings, user: str, mapping: str, tmp_path: Path
) -> None:
    lines = "".join(line(user, n) + "\n" for n in range(3))
    words = command(stack, "jsonl", "-", "--mapping", mapping)
    done = subprocess.run(words, input=lines, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["written"] == 3
    (tmp_path / "same.jsonl").write_text(lines)
    assert report(stack, "jsonl", str(tmp_path / "same.jsonl"), "--mapping", mapping)["written"] == 3
    assert decided(stack, user) == (3, 6)


def test_what_retention_took_ends_it_until_it_is_told_to_go_on_without(
    stack: Settings, user: str, mapping: str
) -> None:
    topic = made_topic(stack, 1)
    told = ("topic", topic, "--mapping", mapping)
    produce(stack, topic, [line(user, n).encode() for n in range(2)])
    assert report(stack, *told)["written"] == 2
    produce(stack, topic, [line(user, n).encode() for n in range(2, 8)])
    admin = AdminClient({"bootstrap.servers": servers_of(stack)})
    (deleted,) = admin.delete_records([TopicPartition(topic, 0, 6)]).values()
    deleted.result()
    with pytest.raises(SourceTruncated, match=rf"{topic}/0: offsets 2 to 5 .* --without-lost"):
        run(stack, "ingest", *told)
    done = report(stack, *told, "--without-lost", status=1)
    assert (done["written"], done["refused_count"]) == (2, 1)
    assert texts(stack, user) == ["said 0", "said 1", "said 6", "said 7"]
    assert report(stack, *told)["read"] == 0


@pytest.fixture
def shaken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with running_in(tmp_path_factory.mktemp("shaken")) as settings:
        yield settings


@pytest.mark.long
@pytest.mark.timeout(900)
def test_it_goes_on_when_the_broker_was_killed(shaken: Settings, user: str, mapping: str) -> None:
    topic = made_topic(shaken)
    words = command(shaken, "topic", topic, "--mapping", mapping, "--follow")
    following = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        for kills in range(3):
            first = kills * 200
            produce(shaken, topic, [line(user, n).encode() for n in range(first, first + 200)])
            os.kill(pid_of(shaken, "broker"), signal.SIGKILL)
            # Until the supervisor started it again the producer keeps what it has.
            producer = Producer({"bootstrap.servers": servers_of(shaken)})
            producer.produce(topic, line(user, 1_000 + kills))
            assert producer.flush(120) == 0
        with Memory(home=shaken.home) as memory, memory.watch(user_id=user, since="2026-01-01") as changes:
            seen = {next(changes)["memory"] for _ in range(603)}
        following.send_signal(signal.SIGTERM)
        said, _ = following.communicate(timeout=120)
    finally:
        following.kill()
    assert following.returncode == 0
    assert json.loads(said)["refused_count"] == 0
    assert seen == {f"said {n}" for n in [*range(600), 1_000, 1_001, 1_002]}
    assert decided(shaken, user)[0] == 603
