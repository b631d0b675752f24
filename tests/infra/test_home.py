"""The home: private, replaced in one step, held by one."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from memfold.infra.errors import StackRunning
from memfold.infra.home import only_one, prepare_home, write_private
from memfold.infra.ports import LOOPBACK, free_ports, is_free


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_home_is_its_owners_only(tmp_path: Path) -> None:
    home = prepare_home(tmp_path / "a" / "home")
    assert [mode(home), mode(home / "run"), mode(home / "logs"), mode(home / "kafka")] == [0o700] * 4
    assert prepare_home(home) == home


def test_a_private_file_is_replaced_and_stays_private(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_private(path, b"one")
    (tmp_path / ".secret.new").write_bytes(b"left by a crash")
    write_private(path, b"two")
    assert path.read_bytes() == b"two"
    assert mode(path) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


def test_a_home_is_held_by_one_and_free_again_after(tmp_path: Path) -> None:
    home = prepare_home(tmp_path)
    with only_one(home), pytest.raises(StackRunning, match=r"in use by process \d+"), only_one(home):
        pass
    with only_one(home):
        pass


def test_ports_are_free_different_and_not_those_of_outgoing_connections() -> None:
    ports = free_ports(8)
    assert len(set(ports)) == 8
    assert all(is_free(port) and port < 32_768 for port in ports)


def test_a_port_with_a_listener_is_not_free() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        assert not is_free(server.getsockname()[1])
