"""Where the workers of a home answer: one small file a process.

A process of this machine is believed only while that very process lives. Of another machine's that shares the home nothing can be
told by its pid: its address is asked, and passed over while it does not answer.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path

import psutil
from msgspec import Struct

from memfold.infra.birth import birth_of


class ViewAddress(Struct, frozen=True):
    """A worker's view: its URL, the roles it runs, and the process that it is (machine, pid, start time and birth)."""

    url: str
    roles: tuple[str, ...]
    pid: int
    started: float
    machine: str = ""
    born: str = ""
    """As infra/birth.py tells it: no correction of the machine's clock changes it."""

    @property
    def gone(self) -> bool:
        """Whether it is known to have ended. A pid that another process has since is told by its start time."""
        if self.machine != socket.gethostname():
            return False
        born = birth_of(self.pid)
        if born and self.born:
            return born != self.born
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) >= 0.01
        except psutil.NoSuchProcess:
            return True


def announce(home: Path, url: str, roles: tuple[str, ...]) -> Path:
    """Write this process's address, and take away those of this machine that are gone; the file to remove when it ends."""
    process = psutil.Process()
    folder = home / "run" / "views"
    folder.mkdir(parents=True, exist_ok=True)
    machine = socket.gethostname()
    for path, address in _said(home):
        if address.gone:
            path.unlink(missing_ok=True)
    path = folder / name_of(machine, process.pid, roles)
    temporary = path.with_suffix(".new")
    fields = {
        "url": url,
        "roles": roles,
        "pid": process.pid,
        "started": process.create_time(),
        "machine": machine,
        "born": birth_of(process.pid),
    }
    temporary.write_text(json.dumps(fields))
    temporary.rename(path)
    return path


def name_of(machine: str, pid: int, roles: tuple[str, ...]) -> str:
    """Of the file."""
    return f"{machine}-{pid}-{'-'.join(roles)}.json"


def addresses(home: Path) -> list[ViewAddress]:
    """The workers of this machine that are alive now, then those that other machines have announced."""
    found = [address for _, address in _said(home) if not address.gone]
    return sorted(found, key=lambda address: address.machine != socket.gethostname())


def _said(home: Path) -> list[tuple[Path, ViewAddress]]:
    found: list[tuple[Path, ViewAddress]] = []
    for path in sorted((home / "run" / "views").glob("*.json")):
        try:
            fields = json.loads(path.read_text())
        except FileNotFoundError:
            continue
        address = ViewAddress(
            fields["url"],
            tuple(fields["roles"]),
            fields["pid"],
            fields["started"],
            fields.get("machine", socket.gethostname()),
            fields.get("born", ""),
        )
        found.append((path, address))
    return found
