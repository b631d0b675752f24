"""A real Weaviate on ports of its own, from a binary that CONTRIBUTING.md says how to build: no package has one."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from memfold.infra.ports import free_ports, is_free

VARIABLE = "MEMFOLD_TEST_WEAVIATE"
KEY = "a-key-of-the-tests"
SECONDS_TO_START = 60


_BINARY = os.environ.get(VARIABLE, "")
needs_weaviate = pytest.mark.skipif(
    not _BINARY, reason=f"{VARIABLE} names no server's binary; CONTRIBUTING.md says how to build one"
)


class WeaviateServer:
    """A server over a folder that outlives it, asked with `settings`. It is stopped as a crash would stop it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._http, grpc, raft, internal = free_ports(4)
        # The port of the nodes' data has to be the one after that of their gossip.
        gossip = next(port for port in free_ports(20) if is_free(port + 1))
        self._ports = {
            "GRPC_PORT": grpc,
            "RAFT_PORT": raft,
            "RAFT_INTERNAL_RPC_PORT": internal,
            "CLUSTER_GOSSIP_BIND_PORT": gossip,
            "CLUSTER_DATA_BIND_PORT": gossip + 1,
        }
        self.settings: dict[str, Any] = {
            "cluster_url": f"http://127.0.0.1:{self._http}",
            "auth_client_secret": KEY,
            "grpc_port": grpc,
        }
        self.start()

    def start(self) -> None:
        with (self._folder / "weaviate.log").open("ab") as log:
            self._process = subprocess.Popen(
                [_BINARY, "--host", "127.0.0.1", "--port", str(self._http), "--scheme", "http"],
                env=self._environment(),
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )
        away = retry_if_exception_type((httpx2.TransportError, httpx2.HTTPStatusError))
        attempts = Retrying(
            stop=stop_after_delay(SECONDS_TO_START), wait=wait_fixed(0.1), retry=away, reraise=True
        )
        try:
            attempts(self._ready)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def version(self) -> str:
        key = {"Authorization": f"Bearer {KEY}"}
        answer = httpx2.get(f"{self.settings['cluster_url']}/v1/meta", headers=key).raise_for_status()
        return str(answer.json()["version"])

    def _ready(self) -> None:
        assert self._process.poll() is None, (self._folder / "weaviate.log").read_text()[-2000:]
        httpx2.get(f"http://127.0.0.1:{self._http}/v1/.well-known/ready").raise_for_status()

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self._folder),
            "PERSISTENCE_DATA_PATH": str(self._folder / "data"),
            "DEFAULT_VECTORIZER_MODULE": "none",
            # Nothing is guessed: what the adapter does not declare is refused.
            "AUTOSCHEMA_ENABLED": "false",
            "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "false",
            "AUTHENTICATION_APIKEY_ENABLED": "true",
            "AUTHENTICATION_APIKEY_ALLOWED_KEYS": KEY,
            "AUTHENTICATION_APIKEY_USERS": "tests",
            "CLUSTER_HOSTNAME": "node1",
            "CLUSTER_ADVERTISE_ADDR": "127.0.0.1",
            "RAFT_BOOTSTRAP_EXPECT": "1",
            "DISABLE_TELEMETRY": "true",
            "GO_PROFILING_DISABLE": "true",
            **{name: str(port) for name, port in self._ports.items()},
        }
