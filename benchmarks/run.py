"""`make bench`: every figure beside its limit, in one run. Arguments choose measures: idle, single, ingest, endpoint, …"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.archiving import archiving
from benchmarks.asof import asof
from benchmarks.audit import audit
from benchmarks.drain import drain
from benchmarks.endpoint import endpoint
from benchmarks.live import flood, idle, ingest, single
from benchmarks.reads import reads
from benchmarks.rebuild import LARGE, SMALL, rebuild, search
from benchmarks.replay import replay
from benchmarks.seals import seals
from benchmarks.stages import stages
from benchmarks.table import Row, report
from benchmarks.watching import watching
from memfold.serve.embedded import EmbeddedStack
from memfold.serve.settings import Settings, settings_from

ALL = (
    "idle",
    "single",
    "ingest",
    "reads",
    "watching",
    "flood",
    "drain",
    "endpoint",
    "stages",
    "rebuild",
    "search",
    "asof",
    "large",
    "audit",
    "seals",
    "archiving",
    "replay",
)


Measure = Callable[[Settings], Coroutine[Any, Any, list[Row]]]
LIVE: dict[str, Measure] = {
    "idle": idle,
    "single": single,
    "ingest": ingest,
    "reads": reads,
    "watching": watching,
}


def _on_a_stack(
    home: Path, measures: Mapping[str, Measure], wanted: list[str], *, separate: bool = False
) -> list[Row]:
    chosen = [name for name in measures if name in wanted]
    if not chosen:
        return []
    settings = settings_from(home=home)
    stack = EmbeddedStack.start(settings, separate=separate)
    try:
        return [row for name in chosen for row in asyncio.run(measures[name](settings))]
    finally:
        stack.stop()


def main() -> None:
    wanted = sys.argv[1:] or list(ALL)
    folder = Path(tempfile.mkdtemp(prefix="memfold-bench-"))
    try:
        rows = _on_a_stack(folder / "live", LIVE, wanted)
        rows += _on_a_stack(folder / "separate", {"flood": flood}, wanted, separate=True)
        if "drain" in wanted:
            rows += drain(folder)
        if "endpoint" in wanted:
            rows += endpoint(folder)
        if "stages" in wanted:
            rows += stages(folder)
        if "asof" in wanted:
            rows += asof(folder)
        if "replay" in wanted:
            rows += replay(folder)
        if "archiving" in wanted:
            rows += archiving(folder)
        if "seals" in wanted:
            rows += seals(folder)
        if "rebuild" in wanted or "search" in wanted or "large" in wanted:
            small, small_rate, settings = rebuild(folder, SMALL, 15_000)
            rows += small
            if "search" in wanted:
                rows += asyncio.run(search(settings))
            if "large" in wanted:
                large, large_rate, _ = rebuild(folder, LARGE, None)
                ratio = large_rate / small_rate
                rows += large
                rows.append(
                    Row(
                        "rebuild of 500,000 against 100,000",
                        f"{ratio:.2f} of the rate",
                        "linear",
                        "",
                        ratio >= 0.8,
                    )
                )
        if "audit" in wanted:
            rows += audit(folder)
        print(report(rows))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
