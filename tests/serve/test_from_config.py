"""A configuration as Mem0 writes it, from the face to the worker's calls and back to the event."""

from __future__ import annotations

from pathlib import Path

import pytest

from memfold import AsyncMemory
from tests.emulator.openai_server import OpenAIServer
from tests.emulator.services import PLAYED


@pytest.mark.timeout(300)
async def test_a_provider_and_its_prompts_reach_the_worker(tmp_path: Path) -> None:
    async with OpenAIServer(api_key="sk-mine", plays=PLAYED["groq"]) as groq:
        llm = {"model": "m", "api_key": "sk-mine", "groq_base_url": groq.base_url, "max_tokens": 900}
        config = {
            "llm": {"provider": "groq", "config": llm},
            "custom_fact_extraction_prompt": "Only note food.",
            "version": "v1.1",
        }
        async with AsyncMemory.from_config(config, home=tmp_path / "home", patience=60) as memory:
            (added,) = (await memory.add("I like coffee", user_id="alex"))["results"]
            why = await memory.explain(added["id"])
        (call,) = why["versions"][0]["calls"]
        assert (call["provider"], call["model"], call["error"]) == ("groq", "m", "")
        assert call["prompt_version"] == "custom"
        (body,) = groq.bodies
        assert body["messages"][0]["content"].startswith("Only note food.")
        assert body["max_completion_tokens"] == 900
