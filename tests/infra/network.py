"""A second machine's network on this one: a namespace behind a virtual cable, where single addresses of ours can fall silent."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

_NET = "10.231.7"
_NOBODY = "02:00:00:00:00:fe"


@dataclass(frozen=True, slots=True)
class OtherSide:
    """`ours`: addresses that processes here may listen on and the other side reaches; `its`: the other side's own."""

    name: str
    ours: Sequence[str]
    its: str

    @property
    def prefix(self) -> list[str]:
        """What to put before a command line, so that it runs over there."""
        return ["ip", "netns", "exec", self.name]

    def cut(self, address: str) -> None:
        """What the other side sends to one of our addresses is lost, as in a cable that broke: nothing refuses, nothing answers."""
        self._there("neigh", "replace", address, "lladdr", _NOBODY, "dev", "cable", "nud", "permanent")

    def mend(self, address: str) -> None:
        self._there("neigh", "del", address, "dev", "cable")

    def _there(self, *words: str) -> None:
        subprocess.run(["ip", "-n", self.name, *words], check=True, capture_output=True)


@contextmanager
def other_side(addresses: int) -> Iterator[OtherSide]:
    """Skips the test where namespaces may not be made."""
    name = f"memfold-{os.getpid()}"
    here = f"mf{os.getpid()}"
    ours = [f"{_NET}.{number + 1}" for number in range(addresses)]
    side = OtherSide(name, ours, f"{_NET}.100")
    if os.geteuid() or shutil.which("ip") is None:
        pytest.skip("a network that parts needs network namespaces: root, and the program ip")
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(
            f"a network that parts needs network namespaces, which may not be made here: {made.stderr.strip()}"
        )
    try:
        _run("link", "add", here, "type", "veth", "peer", "name", "cable", "netns", name)
        for address in ours:
            _run("addr", "add", f"{address}/24", "dev", here)
        _run("link", "set", here, "up")
        _run("-n", name, "addr", "add", f"{side.its}/24", "dev", "cable")
        _run("-n", name, "link", "set", "cable", "up")
        _run("-n", name, "link", "set", "lo", "up")
        yield side
    finally:
        # The cable has two ends, and goes with the one that is over there.
        _run("netns", "del", name)


def _run(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
