"""The golden example through a model endpoint, and what happens to input when that endpoint fails. The endpoint is emulated."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memfold import AsyncMemory
from memfold.serve.cli_whole import app
from memfold.serve.embedded import EmbeddedStack
from memfold.serve.running import status_now
from memfold.serve.settings import Settings, settings_from
from tests.emulator.openai_server import OpenAIServer
from tests.serve.checks import everything_holds
from tests.serve.test_golden import triples


def status_table(settings: Settings) -> str:
    """What `memfold status` prints."""
    return CliRunner().invoke(app, ["status", "--home", str(settings.home)]).stdout


@pytest.mark.timeout(300)
async def test_the_golden_example_through_an_endpoint_and_without_it(tmp_path: Path) -> None:
    async with OpenAIServer() as endpoint:
        models = {
            "llm_provider": "openai",
            "llm_base_url": endpoint.base_url,
            "llm_model": "emulated",
            "llm_api_key": "sk-secret-needle",
            "timeout_seconds": 5,
            "breaker_failures": 1,
            "breaker_seconds": 1,
        }
        settings = settings_from(home=tmp_path / "home", models=models, patience=60)
        stack = await asyncio.to_thread(EmbeddedStack.start, settings)
        try:
            async with AsyncMemory(home=settings.home, models=models, patience=60) as memory:
                done = await memory.add("I met Sarah from Google", user_id="alex")
                assert triples(done["relations"]) == {
                    ("alex", "MET", "Sarah"),
                    ("Sarah", "WORKS_AT", "Google"),
                }
                first = (await memory.add("I like coffee", user_id="alex"))["results"][0]
                done = await memory.add("Actually, I prefer tea now", user_id="alex")
                assert [(r["event"], r["id"]) for r in done["results"]] == [("UPDATE", first["id"])]
                asked = endpoint.requests.total()
                again = await memory.add("I met Sarah from Google", user_id="alex")
                assert [r["event"] for r in again["results"]] == ["NONE"]
                assert endpoint.requests.total() == asked, "an exact repeat asks no model"
                assert [b["state"] for b in (await status_now(settings))["breakers"]] == ["closed"]
                endpoint.misbehave("500", times=3)  # all attempts of one call
                kept = await memory.add("My train leaves at nine", user_id="alex")
                assert "500" in kept["degraded"]
                assert [(r["event"], r["memory"]) for r in kept["results"]] == [
                    ("ADD", "My train leaves at nine")
                ]
                (breaker,) = (await status_now(settings))["breakers"]
                assert breaker["endpoint"] == f"emulated at {endpoint.base_url}"
                assert (breaker["state"], breaker["failures"]) == ("open", 1)
                assert "model endpoints" in await asyncio.to_thread(status_table, settings)
                found = await memory.search("when does my train leave?", user_id="alex", limit=1)
                assert found["results"][0]["memory"] == "My train leaves at nine"
                assert found["results"][0]["pending"] is True
                due = datetime.fromisoformat(breaker["tried_again_at"])
                await asyncio.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds()) + 0.01)
                retried = await memory.retry(user_id="alex")
                assert [(r["event"], r["id"]) for r in retried["results"]] == [
                    ("UPDATE", kept["results"][0]["id"])
                ]
                assert retried["pending"] == 0
                assert [b["state"] for b in (await status_now(settings))["breakers"]] == ["closed"]
                why = await memory.explain(kept["results"][0]["id"])
                assert [v["decision"]["outcome"] for v in why["versions"]] == ["degraded", "decided"]
                assert [v["said"][0]["content"] for v in why["versions"]] == ["My train leaves at nine"] * 2
                assert why["versions"][0]["calls"][0]["error"]
                assert why["versions"][1]["fact"]["text"] == "My train leaves at nine"
                receipts = [one["receipt"]["command_id"] for one in (done, again, kept)]
            await everything_holds(settings, receipts)
        finally:
            await asyncio.to_thread(stack.stop)
    written = b"".join(path.read_bytes() for path in (settings.folder / "logs").glob("*"))
    for needle in (b"sk-secret-needle", b"Sarah", b"train leaves"):
        assert needle not in written, f"{needle!r} stands in a log file"
