"""The emulated endpoint as a process of its own, ordered about over HTTP."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import aiohttp

from memfold.providers.presets import ModelSettings, close_models, embedder_from


async def test_it_runs_in_a_process_of_its_own() -> None:
    script = Path(__file__).with_name("run.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        base_url = (await process.stdout.readline()).decode().strip()
        emulator = base_url.removesuffix("/v1") + "/emulator"
        async with aiohttp.ClientSession() as session:
            order = {"fault": "500", "times": 1}
            assert (await session.post(f"{emulator}/misbehave", json=order)).status == 200
            settings = ModelSettings(
                embedder_provider="openai",
                embedder_base_url=base_url,
                embedder_model="emulated",
                embedder_dimensions=256,
            )
            embedder = embedder_from(settings)
            assert (await embedder.embed(["I like coffee"])).shape == (1, 256)
            await close_models(embedder)
            counts = await (await session.get(f"{emulator}/requests")).json()
            assert counts == {"/v1/embeddings": 2}
    finally:
        process.terminate()
        await process.wait()
