"""The memories of Mem0's hosted service, read over its API as its own client does.

Read: POST /v3/memories/ a page at a time, expired ones too, and GET /v1/memories/ID/history/ of each. Nothing is written there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx2

from memfold.memory.errors import Mem0Unavailable
from memfold.replay.mem0_history import HistoryRow, metadata_of, versions_of
from memfold.replay.mem0_store import Offered

HOST = "https://api.mem0.ai"
PAGE = 100
_IDS = ("user_id", "agent_id", "run_id")
_EVERYBODY = {"OR": [{name: "*"} for name in (*_IDS, "app_id")]}


class Mem0Service:
    """One account. Every method raises Mem0Unavailable."""

    def __init__(self, key: str, host: str = HOST) -> None:
        self._client = httpx2.Client(base_url=host, headers={"Authorization": f"Token {key}"}, timeout=60.0)

    def memories(self) -> Iterator[Offered]:
        """What is there now, everybody's; what was deleted there is not told by the API."""
        page, more = 1, True
        while more:
            wanted = {"filters": _EVERYBODY, "show_expired": True}
            found = self._ask("POST", "/v3/memories/", params={"page": page, "page_size": PAGE}, json=wanted)
            for memory in found["results"]:
                yield self._offered(memory)
            page, more = page + 1, found.get("next") is not None

    def _offered(self, memory: dict[str, Any]) -> Offered:
        memory_id = str(memory["id"])
        rows = [_row(number, row) for number, row in enumerate(self._history(memory_id), 1)]
        rows.sort(key=lambda row: row.updated_at or row.created_at or "")
        more = {
            name: memory[name] for name in ("app_id", "categories", "expiration_date") if memory.get(name)
        }
        # As the store on disk has it, where the metadata stands beside the words.
        payload = {
            **(memory.get("metadata") or {}), **more, "data": memory["memory"],
            **{name: memory[name] for name in ("created_at", "updated_at", "actor_id", "role") if memory.get(name)},
        }  # fmt: skip
        versions = versions_of(rows, payload)
        versions[-1]["metadata"] = (memory.get("metadata") or {}) | metadata_of(more)
        ids = {name: memory[name] for name in _IDS if memory.get(name) is not None}
        return Offered(f"memory {memory_id}", {"id": memory_id, **ids, "versions": versions})

    def _history(self, memory_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask("GET", f"/v1/memories/{quote(memory_id, safe='')}/history/")
        return found

    def _ask(self, method: str, path: str, **told: Any) -> Any:
        try:
            answer = self._client.request(method, path, **told)
            if answer.is_success:
                return answer.json()
        except (httpx2.HTTPError, ValueError) as wrong:
            raise Mem0Unavailable(
                f"{method} {path} of Mem0: {wrong}; run the import again: it goes on"
            ) from None
        hint = "; set MEM0_API_KEY to a key of the account" if answer.status_code in (401, 403) else ""
        raise Mem0Unavailable(
            f"{method} {path} of Mem0 answered HTTP {answer.status_code}: {answer.text[:200]}{hint}"
        )

    def close(self) -> None:
        self._client.close()


def _row(number: int, row: dict[str, Any]) -> HistoryRow:
    texts = (row.get("old_memory"), row.get("new_memory"), str(row.get("event")))
    return HistoryRow(number, str(row.get("memory_id")), *texts, row.get("created_at"), row.get("updated_at"))
