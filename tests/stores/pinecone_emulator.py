"""What Pinecone's REST API does with the calls that the adapter makes, as its documentation says: not Pinecone.

Numbers of metadata come back as floats, a query gives at most 10,000 matches, and a request larger than 2 MB, an index that is
there already, and a vector of another dimension are refused.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from tests.stores.pinecone_filter import passes

LARGEST = 2 * 2**20


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Emulated:
    """Indexes by name; as many as there are share the one host, so a test uses one at a time."""

    def __init__(self) -> None:
        self.url = ""
        self.indexes: dict[str, dict[str, Any]] = {}
        self.vectors: dict[str, dict[str, Any]] = {}

    def answer(self, method: str, path: str, asked: Any) -> Any:
        match method, [part for part in path.split("/") if part]:
            case "POST", ["indexes"]:
                if asked["name"] in self.indexes:
                    raise _Refused(409, "the index exists")
                self.indexes[asked["name"]] = {
                    "deletion_protection": "disabled",
                    **asked,
                    "vector_type": "dense",
                    "host": self.url,
                }
                self.indexes[asked["name"]]["status"] = {"ready": True, "state": "Ready"}
                return self.indexes[asked["name"]]
            case "GET", ["indexes", name]:
                return self._index(name)
            case "DELETE", ["indexes", name]:
                self._index(name)
                del self.indexes[name]
                self.vectors.clear()
                return {}
            case "POST", ["vectors", "upsert"]:
                for vector in asked["vectors"]:
                    (index,) = self.indexes.values()
                    if len(vector["values"]) != index["schema"]["fields"]["_values"]["dimension"]:
                        raise _Refused(400, "vector dimension does not match the dimension of the index")
                    self.vectors[vector["id"]] = vector
                return {"upsertedCount": len(asked["vectors"])}
            case "GET", ["vectors", "fetch"]:
                found = {
                    one: _shown(self.vectors[one]) for one in asked.get("ids", []) if one in self.vectors
                }
                return {"vectors": found, "namespace": "", "usage": {"readUnits": 1}}
            case "POST", ["query"]:
                return {"matches": self._nearest(asked), "namespace": "", "usage": {"readUnits": 1}}
        raise _Refused(404, f"{method} {path} is not played")

    def _index(self, name: str) -> dict[str, Any]:
        if name not in self.indexes:
            raise _Refused(404, f"there is no index {name}")
        return self.indexes[name]

    def _nearest(self, asked: Any) -> list[Any]:
        if asked["topK"] > 10_000:
            raise _Refused(400, "topK is at most 10000")
        passing = [one for one in self.vectors.values() if passes(asked.get("filter"), one["metadata"])]
        scored = [(_cosine(one["values"], asked["vector"]), one) for one in passing]
        best = sorted(scored, key=lambda pair: -pair[0])[: asked["topK"]]
        return [{"id": one["id"], "score": score, "metadata": _shown(one)["metadata"]} for score, one in best]


def _cosine(one: list[float], other: list[float]) -> float:
    a, b = np.array(one), np.array(other)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def _shown(vector: dict[str, Any]) -> dict[str, Any]:
    metadata = {
        name: float(value) if type(value) is int else value for name, value in vector["metadata"].items()
    }
    return {"id": vector["id"], "values": vector["values"], "metadata": metadata}


@contextmanager
def pinecone() -> Iterator[Emulated]:
    """An emulated Pinecone, while it runs."""
    emulated = Emulated()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            place = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = json.loads(body) if body else parse_qs(place.query)
            try:
                if len(body) > LARGEST:
                    raise _Refused(413, "the request is larger than 2 MB")
                status, found = 200, emulated.answer(self.command, place.path, asked)
            except _Refused as refused:
                status = refused.status
                found = {"error": {"code": "REFUSED", "message": str(refused)}, "status": status}
            content = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _answer

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    emulated.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield emulated
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
