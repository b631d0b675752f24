"""The emulated endpoint in a process of its own, for who must not share a processor turn with it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

OFTEN = {"timeout": 0.1, "500": 0.1, "truncated": 0.1}
"""One request in ten meets each: no answer, an error, JSON that breaks off."""


class EmulatorProcess:
    """A context manager; `order` takes what POST /emulator/misbehave takes."""

    def __enter__(self) -> Self:
        script = Path(__file__).with_name("run.py")
        self._process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.base_url = self._process.stdout.readline().strip()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def order(self, **ordered: Any) -> None:
        self._call("misbehave", json.dumps(ordered).encode())

    def chat_requests(self) -> int:
        """How many questions were put to the chat model so far."""
        return int(self._call("requests").get("/v1/chat/completions", 0))

    def _call(self, path: str, data: bytes | None = None) -> dict[str, Any]:
        url = f"{self.base_url.removesuffix('/v1')}/emulator/{path}"
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def models(self, timeout_seconds: float = 1.0) -> dict[str, Any]:
        """Settings of a deployment that asks it; embeddings stay offline."""
        return {
            "llm_provider": "openai",
            "llm_base_url": self.base_url,
            "llm_model": "emulated",
            "llm_api_key": "none",
            "timeout_seconds": timeout_seconds,
        }
