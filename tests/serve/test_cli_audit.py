"""The audit on the command line and on the sync face, over a running stack: real Kafka, real workers, real archive."""

from __future__ import annotations

import csv
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from memfold import Memory
from memfold.audit.errors import UnknownRecord
from memfold.memory.errors import InvalidInput
from memfold.serve.settings import Settings
from tests.serve.test_cli import parsed, run

pytestmark = pytest.mark.timeout(300)


def test_an_audit_on_the_command_line(stack: Settings, tmp_path: Path) -> None:
    user = f"audit-{uuid.uuid4().hex[:8]}"
    before = datetime.now(UTC).isoformat()
    (one,) = parsed(stack, "add", "I met Sarah from Google", "--user", user)["results"]
    (two,) = parsed(stack, "add", "I like coffee", "--user", user)["results"]
    middle = datetime.now(UTC).isoformat()
    parsed(stack, "update", two["id"], "I like tea")
    run(stack, "delete", one["id"])
    after = datetime.now(UTC).isoformat()

    query = 'SELECT version, event, text FROM versions ORDER BY partition, "offset"'
    told = run(stack, "audit", "sql", query, "--user", user, "--format", "json")
    assert [row["event"] for row in json.loads(told)] == ["ADD", "ADD", "UPDATE", "DELETE"]
    assert "I like tea" in run(stack, "audit", "sql", query, "--user", user)
    lines = run(stack, "audit", "sql", query, "--user", user, "--format", "csv").splitlines()
    assert next(csv.reader(lines)) == ["version", "event", "text"]
    joined = "SELECT e.event_id FROM events e JOIN commands c USING (command_id) JOIN subjects s ON s.subject = e.subject"
    run(
        stack,
        "audit",
        "sql",
        joined,
        "--user",
        user,
        "--format",
        "parquet",
        "-o",
        str(tmp_path / "x.parquet"),
    )
    assert pq.read_table(tmp_path / "x.parquet").num_rows == 4
    with pytest.raises(InvalidInput, match="name a file with -o"):
        run(stack, "audit", "sql", "SELECT 1", "--format", "arrow")
    with pytest.raises(InvalidInput):
        run(stack, "audit", "sql", "SELECT * FROM read_text('/etc/passwd')")

    blamed = parsed(stack, "audit", "blame", two["id"])
    assert {part["version"]["event"] for part in blamed["parts"]} == {"UPDATE"}
    assert [part["value"] for part in blamed["parts"]] == ["I like tea", f"{user} LIKES tea"]
    assert "memfold.events/" in run(stack, "audit", "blame", two["id"])
    found = parsed(stack, "audit", "diff", "--from", middle, "--to", after, "--user", user)
    assert [one["was"] for one in found["changed"]] == ["I like coffee"]
    assert [one["memory"] for one in found["gone"]] == ["I met Sarah from Google"]
    told = run(stack, "audit", "diff", "--from", before, "--to", after, "--user", user)
    assert told.splitlines() == ["+ I like tea", f"+ {user} LIKES tea"]
    assert "WORKS_AT" in run(stack, "audit", "timeline", "--user", user)
    then = parsed(stack, "audit", "as-of", middle, "--user", user)
    assert {one["memory"] for one in then["results"]} == {"I met Sarah from Google", "I like coffee"}
    assert "I like coffee" in run(stack, "audit", "as-of", middle, "--user", user)
    newest = run(stack, "audit", "log", "--user", user, "-n", "1", "--json").splitlines()
    (entry,) = [json.loads(line) for line in newest]
    assert entry["did"][0] == "DELETE I met Sarah from Google"
    shown = json.loads(run(stack, "audit", "show", entry["event_id"]))
    assert shown["body"]["operations"][0]["op"] == "DELETE"
    with pytest.raises(UnknownRecord):
        run(stack, "audit", "show", str(uuid.uuid4()))


def test_the_sync_face_follows(stack: Settings) -> None:
    user = f"audit-{uuid.uuid4().hex[:8]}"
    with Memory(home=stack.home) as memory:
        end = {
            row["partition"]: row["last"]
            for row in memory.audit.sql('SELECT partition, max("offset") AS last FROM events GROUP BY 1').rows
        }
        memory.add("I like walks", user_id=user, infer=False)
        assert next(memory.audit.follow(user_id=user, after=end))["did"] == ["ADD I like walks"]
        assert memory.audit.sql("SELECT count(*) AS n FROM memories", user_id=user).rows == [{"n": 1}]
