"""Where the workers of a home answer: one small file a process, believed only while that very process lives."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
from msgspec import Struct


class ViewAddress(Struct, frozen=True):
    """A worker's view: its URL, the roles it runs, and the process that it is (pid and start time)."""

    url: str
    roles: tuple[str, ...]
    pid: int
    started: float


def announce(home: Path, url: str, roles: tuple[str, ...]) -> Path:
    """Write this process's address; the file to remove when it ends."""
    process = psutil.Process()
    folder = home / "run" / "views"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{process.pid}.json"
    temporary = path.with_suffix(".new")
    address = {"url": url, "roles": roles, "pid": process.pid, "started": process.create_time()}
    temporary.write_text(json.dumps(address))
    temporary.rename(path)
    return path


def addresses(home: Path) -> list[ViewAddress]:
    """The workers that are alive now. A pid that another process has since is told by its start time."""
    found: list[ViewAddress] = []
    for path in sorted((home / "run" / "views").glob("*.json")):
        try:
            fields = json.loads(path.read_text())
            started = psutil.Process(fields["pid"]).create_time()
        except (FileNotFoundError, psutil.NoSuchProcess):
            continue
        if abs(started - fields["started"]) < 0.01:
            found.append(ViewAddress(fields["url"], tuple(fields["roles"]), fields["pid"], fields["started"]))
    return found
