"""eventsourcing's half of benchmarks/replay.py: runs in an environment of its own and knows nothing of memfold.

    python peer_eventsourcing.py LOG.db EVENTS

Writes so many events of one field into its SQLite log, then prints the seconds that it takes to fold them into a dict.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

AT_ONCE = 1_000


class Memory(Aggregate):
    @event("Added")
    def __init__(self, text: str) -> None:
        self.text = text


def main(path: str, count: int) -> None:
    os.environ |= {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": path}
    application: Application[Any] = Application()
    for start in range(0, count, AT_ONCE):
        application.save(
            *(Memory(f"On day {n} I met Sarah") for n in range(start, min(start + AT_ONCE, count)))
        )
    folded: dict[str, str] = {}
    began, last = time.perf_counter(), 0
    while found := application.recorder.select_notifications(
        start=last, limit=AT_ONCE, inclusive_of_start=False
    ):
        for notification in found:
            happened = application.mapper.to_domain_event(notification)
            folded[str(happened.originator_id)] = happened.text
        last = found[-1].id
    seconds = time.perf_counter() - began
    if len(folded) != count:
        raise RuntimeError(f"{len(folded)} of {count} events were read back")
    print(seconds)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
