"""Free ports on 127.0.0.1."""

from __future__ import annotations

import random
import socket

from memfold.infra.errors import NoFreePort

LOOPBACK = "127.0.0.1"

# Below the range that kernels give to outgoing connections (32768 and up). From that range, a client that keeps trying
# a broker that is down can be given the broker's own port as its source, connect to itself, and hold the port for good.
_RANGE = range(20_000, 32_768)


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now. It may be gone a moment later: who listens must bear that."""
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as Java's: an old connection's TIME_WAIT is no obstacle
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_ports(count: int) -> tuple[int, ...]:
    """`count` different ports, chosen at random so that two homes started together do not choose the same. Raises NoFreePort."""
    found = [port for port in random.sample(_RANGE, 50 * count) if is_free(port)]
    if len(found) < count:
        raise NoFreePort(f"fewer than {count} of {50 * count} ports tried on {LOOPBACK} are free")
    return tuple(found[:count])
