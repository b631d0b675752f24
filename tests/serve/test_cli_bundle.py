"""A bundle over a running stack: what was just said is sealed, bundled, and checked by a verifier that knows neither."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memfold import Memory
from memfold.memory.errors import InvalidInput
from memfold.serve.cli_whole import app
from memfold.serve.settings import Settings
from tests.serve.test_cli import parsed, run

pytestmark = pytest.mark.timeout(300)


def homeless(*words: str) -> str:
    """What a command of the audit prints that needs no home."""
    done = CliRunner().invoke(app, ["audit", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def checked(folder: Path, *words: str) -> tuple[int, str]:
    command = [sys.executable, "-I", "-S", str(folder / "verify.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    return done.returncode, done.stdout + done.stderr


def test_what_was_just_said_is_evidence(stack: Settings, tmp_path: Path) -> None:
    user, case = f"evidence-{uuid.uuid4().hex[:8]}", tmp_path / "case.zip"
    (added,) = parsed(stack, "add", "I met Sarah from Google", "--user", user)["results"]
    middle = datetime.now(UTC).isoformat()
    run(stack, "update", added["id"], "I met Sarah from Acme")

    made = parsed(stack, "audit", "bundle", "--user", user, "-o", str(case))
    assert (made["records"], made["opened"], made["left_out"]) == (4, True, [])
    assert stat.S_IMODE(case.stat().st_mode) == 0o600
    (tmp_path / "verify.py").write_text(homeless("verifier"))
    key = run(stack, "audit", "key").strip()
    status, said = checked(tmp_path, str(case), "--key", key)
    assert status == 0, said
    assert said.startswith(f"HOLDS  4 records of {user}")
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(case), str(tmp_path / "open")], check=True)
    told = json.loads((tmp_path / "open" / "decoded.json").read_text())
    texts = [done["text"] for one in told for done in one["body"].get("operations", [])]
    assert texts == ["I met Sarah from Google", "I met Sarah from Acme"]
    assert "I met Sarah from Acme" in (tmp_path / "open" / "report.html").read_text()

    witness = ("--state", str(tmp_path / "seen"), "--key", key, "--name", "w.example/1")
    told_key = homeless("witness", *witness, "--seals", str(stack.folder / "seals"))
    countersigned = ("--witnessed", str(tmp_path / "seen"), "--sealed", "--to", middle)
    said = run(stack, "audit", "bundle", "--user", user, "-o", str(case), *countersigned)
    assert "2 records" in said
    asked = next(line.split(" ")[1] for line in told_key.splitlines() if line.startswith("witness "))
    status, said = checked(tmp_path, str(case), "--key", key, "--witness", asked)
    assert status == 0, said
    assert "countersigned by 1 witness" in said


def test_the_face_makes_the_same(stack: Settings, tmp_path: Path) -> None:
    user = f"evidence-{uuid.uuid4().hex[:8]}"
    with Memory(home=stack.home) as memory:
        memory.add("I like walks", user_id=user, infer=False)
        made = memory.audit.bundle(tmp_path / "case.zip", user_id=user)
        assert made["records"] == 2
        with pytest.raises(InvalidInput, match="no record of the user"):
            memory.audit.bundle(tmp_path / "none.zip", user_id=user, end="2020-01-01")
        assert not (tmp_path / "none.zip").exists()
