"""A real Apache Jena Fuseki on a port of its own."""

from __future__ import annotations

import signal
from pathlib import Path

from memfold.infra.ports import free_ports
from tests.stores.jars import Jar

JAR = Jar(
    "org.apache.jena",
    "jena-fuseki-server",
    "5.5.0",
    "",
    "c8611d326ac387f1e5a854f9c56571e5f3961b9ec945783c9249a1fa01e0f820",
)


class Fuseki:
    """A server over a folder that outlives it; `url` is its dataset. It is stopped as a crash would stop it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (self._port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self._port}/memfold"
        (folder / "tdb2").mkdir()
        self.start()

    def start(self) -> None:
        place = ["--tdb2", "--loc", str(self._folder / "tdb2"), "/memfold"]
        options = ["--port", str(self._port), "--localhost", "--update", *place]
        ping = f"http://127.0.0.1:{self._port}/$/ping"
        self._process = JAR.start(self._folder / "fuseki.log", options, ping)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
