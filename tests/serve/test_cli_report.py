"""Reports on the command line, over a running stack."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from memfold.serve.settings import Settings
from tests.serve.test_cli import parsed, run

pytestmark = pytest.mark.timeout(300)


def test_reports_of_a_user(stack: Settings, tmp_path: Path) -> None:
    user = f"report-{uuid.uuid4().hex[:8]}"
    (added,) = parsed(stack, "add", "I met Sarah from Google", "--user", user)["results"]
    run(stack, "update", added["id"], "I met <script>Sarah</script> from Acme")
    run(stack, "audit", "seal")
    changes = parsed(stack, "audit", "report", "changes", "--user", user)
    assert (changes["about"]["memories added"], changes["about"]["memories changed"]) == (1, 1)
    models = parsed(stack, "audit", "report", "models", "--user", user)
    assert (models["whose"], models["about"]["calls"]) == ([], 0), "the offline models call nobody"
    run(stack, "search", "Acme", "--user", user)
    access = parsed(stack, "audit", "report", "access", "--user", user)
    assert "search" in [one["verb"] for one in access["verbs"]]
    assert {one["id"] for one in access["whose"]} == {user}
    kept = json.loads(run(stack, "audit", "report", "retention", "--user", user, "--json"))
    assert [(one["id"], one["records"], one["memories"]) for one in kept["whose"]] == [(user, 4, 1)]
    assert kept["findings"] == []
    for name in ("access", "changes", "models", "retention"):
        page = tmp_path / f"{name}.html"
        assert run(stack, "audit", "report", name, "--user", user, "-o", str(page)).startswith(str(page)[:40])
        assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
        assert user in page.read_text(encoding="utf-8")
        assert "<script" not in page.read_text(encoding="utf-8")
