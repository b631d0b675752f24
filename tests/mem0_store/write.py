"""Writes the store beside this file with the real mem0ai: what tests/replay/test_mem0.py and tests/serve/test_importing.py import.

mem0ai is no dependency of the tests: it pins other versions of what memfold uses. So what it wrote is kept, and this is how to
write it again, in an environment of its own:

    python -m venv VENV && VENV/bin/pip install mem0ai==2.2.1 qdrant-client==1.20.0
    VENV/bin/python tests/mem0_store/write.py tests/mem0_store/written

The embedder is a hash, because vectors are not imported; nothing else of mem0 is replaced.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ |= {"MEM0_TELEMETRY": "False", "OPENAI_API_KEY": "none"}
os.environ.setdefault("MEM0_DIR", tempfile.mkdtemp(prefix="mem0-"))


class Hashed:
    """Implements mem0's embedder."""

    def __init__(self, config: Any = None) -> None:
        self.config = config

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        return [byte / 255 for byte in hashlib.sha256(text.encode()).digest()[:8]]

    def embed_batch(self, texts: list[str], memory_action: str = "add") -> list[list[float]]:
        return [self.embed(text) for text in texts]


def opened(folder: Path) -> Any:
    from mem0 import Memory  # type: ignore[import-not-found]
    from mem0.utils.factory import EmbedderFactory  # type: ignore[import-not-found]

    sys.modules["hashed_embedder"] = sys.modules[__name__]
    EmbedderFactory.provider_to_class["huggingface"] = "hashed_embedder.Hashed"
    store = {
        "collection_name": "mem0",
        "embedding_model_dims": 8,
        "path": str(folder / "qdrant"),
        "on_disk": True,
    }
    return Memory.from_config(
        {
            "vector_store": {"provider": "qdrant", "config": store},
            "embedder": {"provider": "huggingface", "config": {}},
            "history_db_path": str(folder / "history.db"),
        }
    )


def fill(memory: Any) -> None:
    """Somebody's past: memories that stayed, changed twice, went, and of an agent and a run."""

    def add(text: Any, **whose: Any) -> str:
        (done,) = memory.add(text, infer=False, **whose)["results"]
        return str(done["id"])

    add("I live in Oslo", user_id="alex", metadata={"topic": "home", "tags": ["city", "köln"]})
    job = add("I work at Google", user_id="alex", run_id="trip")
    memory.update(job, "I work at Mozilla")
    memory.update(job, "I work at Signal")
    gone = add("I like coffee", user_id="alex")
    memory.update(gone, "I like decaf")
    memory.delete(gone)
    add(
        [{"role": "user", "name": "kim", "content": "I have a dog named Rex 🐕"}],
        user_id="kim",
        agent_id="vet",
    )
    add([{"role": "assistant", "content": "The vet opens at nine"}], agent_id="vet")
    add("Only for this run", run_id="r1")


def main() -> None:
    folder = Path(sys.argv[1]).absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    memory = opened(folder)
    fill(memory)
    said = [
        memory.get_all(filters=whose)["results"]
        for whose in ({"user_id": "alex"}, {"user_id": "kim"}, {"agent_id": "vet"}, {"run_id": "r1"})
    ]
    whole = {one["id"]: one for each in said for one in each}
    found = {
        "version": version("mem0ai"),
        "memories": list(whole.values()),
        "history": {one: memory.history(one) for one in whole},
    }
    (folder / "said.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    memory.vector_store.client.close()
    memory.db.close()


if __name__ == "__main__":
    main()
