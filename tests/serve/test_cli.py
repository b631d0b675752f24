"""The command line, as a person uses it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from memfold.infra.stack_file import running_stack
from memfold.memory.errors import BrokerUnreachable, InvalidInput
from memfold.serve.cli_whole import app
from memfold.serve.settings import Settings


def run(stack: Settings, *words: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, [*words, "--home", str(stack.home)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == status, done.output
    return done.stdout


def parsed(stack: Settings, *words: str) -> Any:
    return json.loads(run(stack, *words, "--json"))


def test_a_day_on_the_command_line(stack: Settings) -> None:
    user = f"cli-{uuid.uuid4().hex[:8]}"
    said = run(stack, "add", "I", "met", "Sarah", "from", "Google", "--user", user)
    assert "ADD" in said
    assert "WORKS_AT" in said
    assert "memfold.commands/" in said
    one = parsed(stack, "add", "I like coffee", "--user", user, "--metadata", '{"topic": "drinks"}')[
        "results"
    ][0]["id"]
    assert parsed(stack, "get", one)["metadata"] == {"topic": "drinks"}
    assert "I like coffee" in run(stack, "get", one)
    parsed(stack, "update", one, "I", "like", "tea")
    assert [r["memory"] for r in parsed(stack, "list", "--user", user)["results"]] == [
        "I met Sarah from Google",
        "I like tea",
    ]
    found = parsed(stack, "search", "who works at Google", "--user", user, "--relationship", "WORKS_AT")
    assert [r["memory"] for r in found["results"]] == ["I met Sarah from Google"]
    assert "Sarah" in run(stack, "search", "Sarah", "--user", user)
    drinks = ("--user", user, "--filters", '{"topic": {"in": ["drinks"]}}')
    (tea,) = parsed(stack, "search", "what do I drink", *drinks, "--explain")["results"]
    assert tea["memory"] == "I like tea"
    assert {"meaning", "substance"} <= tea["score_details"].keys()
    assert "meaning 0." in run(stack, "search", "tea", *drinks, "--explain")
    assert [r["memory"] for r in parsed(stack, "list", *drinks)["results"]] == ["I like tea"]
    run(stack, "delete", one)
    assert [v["event"] for v in parsed(stack, "history", one)] == ["ADD", "UPDATE", "DELETE"]
    assert "DELETE" in run(stack, "history", one)
    run(stack, "get", one, status=1)
    assert "Sarah" in run(stack, "list", "--user", user)


def test_status_lists_every_process_topic_and_role(stack: Settings) -> None:
    status = parsed(stack, "status")
    assert [p["role"] for p in status["processes"]] == ["supervisor", "broker", "worker"]
    assert all(psutil.pid_exists(p["pid"]) for p in status["processes"])
    assert set(status["topics"]) == {"memfold.commands", "memfold.events", "memfold.access"}
    assert [r["role"] for r in status["roles"]] == ["decide", "vector", "graph", "archive"]
    assert all(r["generation"].startswith("g") for r in status["roles"] if r["role"] in ("vector", "graph"))
    assert "generation" in run(stack, "status")


def test_status_says_until_when_the_log_is_sealed(stack: Settings) -> None:
    run(stack, "audit", "seal")
    sealed = parsed(stack, "status")["sealed"]
    assert sealed["unsealed"] >= 0
    assert datetime.fromisoformat(sealed["until"]) > datetime.now(UTC) - timedelta(minutes=5)
    assert f"sealed: at {sealed['until'][:10]}" in run(stack, "status")


def test_doctor_config_and_verify(stack: Settings) -> None:
    assert {c["ok"] for c in parsed(stack, "doctor")} == {True}
    assert parsed(stack, "config")["partitions"] == 4
    assert "MEMFOLD_PARTITIONS" in run(stack, "config")
    verified = parsed(stack, "replay", "verify")
    assert verified["equal"]
    assert {shard["equal"] for shard in verified["shards"]} == {True}
    assert verified["repaired"] == []


def test_mistakes_are_told_in_one_line(stack: Settings) -> None:
    with pytest.raises(InvalidInput, match="user_id, agent_id and run_id"):
        run(stack, "add", "no scope")
    with pytest.raises(InvalidInput, match="--metadata is no JSON"):
        run(stack, "add", "x", "--user", "u", "--metadata", "{topic}")
    with pytest.raises(InvalidInput, match="'painter'"):
        run(stack, "worker", "painter")


def memfold(home: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "memfold.serve.cli", *words, "--home", str(home)]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=120
    )


@pytest.mark.timeout(300)
def test_up_detached_serves_until_down_and_clears_what_a_crash_left(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert "running in" in memfold(home, "up", "-d").stdout
    first = running_stack(home)
    assert first is not None
    again = memfold(home, "up", "-d")
    assert again.returncode == 1
    assert str(first.supervisor.pid) in again.stderr
    orphans = [psutil.Process(process.pid) for process in first.processes if process.pid]
    os.kill(first.supervisor.pid, signal.SIGKILL)
    assert all(orphan.is_running() for orphan in orphans)
    assert memfold(home, "up", "-d").returncode == 0
    assert not any(orphan.is_running() and orphan.status() != psutil.STATUS_ZOMBIE for orphan in orphans)
    assert "stopped what ran" in memfold(home, "down").stdout
    assert running_stack(home) is None
    assert "nothing runs" in memfold(home, "down").stdout
    assert memfold(home, "status").returncode == 1


def test_no_broker_is_told_with_its_address(tmp_path: Path) -> None:
    with pytest.raises(BrokerUnreachable, match=r"127\.0\.0\.1:1"):
        CliRunner().invoke(
            app,
            ["status", "--home", str(tmp_path), "--bootstrap-servers", "127.0.0.1:1"],
            catch_exceptions=False,
        )
