"""Mem0's service, emulated over HTTP with what the real mem0ai said of its store: pages, history, refusals."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from memfold.memory.errors import Mem0Unavailable
from memfold.memory.imported import checked_import
from memfold.replay import mem0_api
from memfold.replay.mem0_api import Mem0Service
from memfold.replay.mem0_store import Mem0Store
from tests.replay.test_mem0 import SAID, STORE

KEY = "m0-test"


class Service(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not asked.get("filters"):
            return self._answer(400, {"detail": "filters is required"})
        query = parse_qs(urlsplit(self.path).query)
        page, size = int(query["page"][0]), int(query["page_size"][0])
        memories = [{**one, "categories": ["misc"]} for one in SAID["memories"]]
        more = page * size < len(memories)
        found = {
            "results": memories[(page - 1) * size : page * size],
            "next": "another page" if more else None,
        }
        return self._answer(200, found)

    def do_GET(self) -> None:
        self._answer(200, list(reversed(SAID["history"][self.path.split("/")[3]])))

    def _answer(self, status: int, body: Any) -> None:
        if self.headers["Authorization"] != f"Token {KEY}":
            status, body = 401, {"detail": "Invalid token."}
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_service_tells_what_the_store_on_disk_tells(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mem0_api, "PAGE", 2)
    with closing(Mem0Service(KEY, address)) as service:
        found = [checked_import(one.memory, "mem0").command for one in service.memories()]
    store = [one.memory for one in Mem0Store.find(STORE).memories() if len(one.memory) > 2]
    expected = {one["id"]: checked_import(one, "mem0").command for one in store}
    assert len(found) == len(expected) == 5
    for command in found:
        there = expected[command.memory_id]
        assert command.scope == there.scope
        assert [(v.op, v.text, v.at) for v in command.versions] == [
            (v.op, v.text, v.at) for v in there.versions
        ]
        metadata = json.loads(command.versions[-1].metadata)
        assert metadata == json.loads(there.versions[-1].metadata) | {"categories": ["misc"]}


def test_a_wrong_key_and_a_service_that_is_away_say_what_to_do(address: str) -> None:
    with (
        closing(Mem0Service("wrong", address)) as service,
        pytest.raises(Mem0Unavailable, match="set MEM0_API_KEY"),
    ):
        list(service.memories())
    with (
        closing(Mem0Service(KEY, "http://127.0.0.1:9")) as service,
        pytest.raises(Mem0Unavailable, match="again"),
    ):
        list(service.memories())
