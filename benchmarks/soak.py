"""`make soak`: 20 minutes at 500 commands a second, a worker killed every minute and a broker every five (tests/serve/soaking.py)."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.table import Row, rate, report
from tests.serve.soaking import Plan, Soaked, place, soak

FLAT = 0.05


def rows(soaked: Soaked) -> list[Row]:
    plan = soaked.plan
    middle, last = soaked.memory()
    most = max(sample.total for sample in soaked.samples)
    behind = max((sum(sample.lag.values()) for sample in soaked.samples), default=0)
    lost = len(set(soaked.acknowledged) - soaked.counted.keys())
    twice = sum(times > 1 for times in soaked.counted.values())
    kills = f"{soaked.worker_kills} kills of workers, {soaked.broker_kills} of brokers"
    return [
        Row(
            f"soak of {plan.seconds / 60:.1f} minutes, single commands",
            rate(soaked.rate),
            rate(plan.rate),
            f"{kills}; {soaked.repeated} said again; caught up {soaked.settled_in:.1f} s after the last; most behind {behind:,}",
            soaked.rate >= 0.98 * plan.rate,
        ),
        Row(
            "of them lost / twice",
            f"{lost} / {twice}",
            "0 / 0",
            f"{len(soaked.acknowledged):,} acknowledged; digests equal, counts add up, the log verifies",
            lost == twice == 0,
        ),
        Row(
            "workers' memory, last third against the middle one",
            f"{last / middle - 1:+.1%}",
            f"within {FLAT:.0%}",
            f"{middle / 1e6:.0f} MB, then {last / 1e6:.0f} MB; at most {most / 1e6:.0f} MB",
            abs(last / middle - 1) <= FLAT,
        ),
    ]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=1_200)
    arguments.add_argument("--rate", type=float, default=500)
    arguments.add_argument("--kill-worker", type=float, default=60, help="seconds between two kills; 0: none")
    arguments.add_argument(
        "--kill-broker", type=float, default=300, help="seconds between two kills; 0: none"
    )
    arguments.add_argument("--users", type=int, default=500)
    given = arguments.parse_args()
    plan = Plan(given.seconds, given.rate, given.kill_worker, given.kill_broker, given.users)
    with tempfile.TemporaryDirectory(prefix="memfold-soak-") as folder, place(Path(folder)) as there:
        soaked = asyncio.run(soak(there, plan, lambda line: print(line, flush=True)))
    print(report(rows(soaked)))


if __name__ == "__main__":
    main()
