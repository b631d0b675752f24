"""What processes log: lines for people or for a collector, and in none of them what people said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from datetime import UTC, datetime

import pytest

from memfold import AsyncMemory
from memfold.memory.errors import InvalidInput
from memfold.serve.logs import VARIABLE
from memfold.serve.settings import Settings
from tests.serve.checks import settled

PROGRAM = """
import logging
from memfold.serve.logs import log_to_stderr
log_to_stderr()
logger = logging.getLogger("memfold.somewhere")
logger.warning("put %s aside", "a/0/7", extra={"partition": 0, "offset": 7})
try:
    1 / 0
except ZeroDivisionError:
    logger.exception("no")
"""


def logged(form: str) -> list[str]:
    environment = {**os.environ, VARIABLE: form, "MEMFOLD_ROLE": "worker-graph"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    return done.stderr.splitlines()


def test_a_collector_reads_one_object_a_line() -> None:
    before = datetime.now(UTC)
    aside, failed = map(json.loads, logged("json"))
    assert before <= datetime.fromisoformat(aside.pop("at")) <= datetime.now(UTC)
    assert aside.pop("pid") > 0
    assert aside == {
        "level": "WARNING",
        "logger": "memfold.somewhere",
        "message": "put a/0/7 aside",
        "worker": "worker-graph",
        "partition": 0,
        "offset": 7,
    }
    assert "ZeroDivisionError" in failed["exc_info"]


def test_people_read_text() -> None:
    assert logged("text")[0].endswith("WARNING memfold.somewhere: put a/0/7 aside")


REPEATING = """
import logging
from memfold.serve.logs import log_to_stderr
log_to_stderr()
for count in range(3):
    logging.getLogger("opentelemetry.exporter").warning("no answer from %s", count)
    logging.getLogger("aiokafka.client").error("no broker %s", count)
    logging.getLogger("memfold.somewhere").warning("once more")
"""


def test_a_collector_or_a_broker_that_is_away_does_not_fill_the_log() -> None:
    done = subprocess.run([sys.executable, "-c", REPEATING], capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert len([line for line in lines if line.endswith("no answer from 0")]) == 1
    assert len([line for line in lines if line.endswith("no broker 0")]) == 1
    assert len(lines) == 2 + 3


def test_another_format_is_refused_by_name() -> None:
    argv = [sys.executable, "-m", "memfold.serve.cli", "doctor"]
    done = subprocess.run(argv, env={**os.environ, VARIABLE: "xml"}, capture_output=True, text=True)
    assert done.returncode == 1
    assert "MEMFOLD_LOG_FORMAT is 'xml'; it is one of text, json" in done.stderr


async def test_what_people_say_and_who_they_are_is_in_no_log(stack: Settings, memory: AsyncMemory) -> None:
    who, word = f"who-{uuid.uuid4().hex}", f"Zx{uuid.uuid4().hex}"
    agent = f"agent-{uuid.uuid4().hex}"
    added = await memory.add(f"My sister {word} works at Google", user_id=who, agent_id=agent)
    one = added["results"][0]["id"]
    await memory.search(f"where does {word} work", user_id=who)
    await memory.update(one, f"My sister {word} works at Apple")
    await memory.history(one)
    with pytest.raises(InvalidInput, match="the query cannot be answered"):
        await memory.sparql(f"SELECT {word}", user_id=who)
    await memory.delete_all(user_id=who)
    await settled(stack)
    logs = [*(stack.folder / "logs").glob("worker*.log")]
    assert logs
    for log in logs:
        text = log.read_text()
        assert not [said for said in (who, word, agent) if said in text], log
        assert {type(json.loads(line)) for line in text.splitlines()} == {dict}, log
