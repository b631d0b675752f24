"""A process that reads a topic as slowly as can be: it takes once, and takes the rest when its memory has stopped growing.

argv: servers, topic, records, KB fetched ahead. It prints how many records came and by how many MB it had grown.
"""

from __future__ import annotations

import sys
import time

import psutil

from memfold.streams import live_reader
from memfold.streams.connection import Connection
from memfold.streams.reader import LogReader


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


def full_grown() -> int:
    """Resident bytes once they have been the same, to a megabyte, for a second."""
    most, since = resident(), time.monotonic()
    while time.monotonic() - since < 1:
        time.sleep(0.02)
        if (now := resident()) > most + 1_000_000:
            most, since = now, time.monotonic()
    return most


def main(servers: str, topic: str, records: int, ahead: int) -> None:
    live_reader.AHEAD_KB = ahead
    live = live_reader.LiveReader(LogReader(Connection(bootstrap_servers=servers)), topic, {0: 0})
    before = resident()
    while not (taken := live.take()):
        continue
    seen, grown = len(taken), full_grown() - before
    while seen < records:
        seen += len(live.take())
    live.close()
    print(seen, grown // 1_000_000)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
