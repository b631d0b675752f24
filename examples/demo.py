"""The golden example, start to finish: remember, ask, correct, look back, lose both projections, rebuild them from the log."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from rich.console import Console

from memfold import Memory
from memfold.infra.broker import Broker
from memfold.serve.cli_options import print_relations, print_rows
from memfold.serve.replaying import rebuild_served, standings_on_disk
from memfold.serve.settings import settings_from

console = Console(highlight=False)
STARTED = time.monotonic()


def say(step: str) -> None:
    console.print(f"\n[bold]{step}[/]  [dim]{time.monotonic() - STARTED:.1f} s[/]")


def remember(home: Path) -> None:
    """What an assistant would do all day."""
    with Memory(home=home) as memory:
        say("1. Three things are said, and each becomes an event on Kafka")
        for text in (
            "I met Sarah from Google",
            "I like coffee in the morning",
            "My sister Maria lives in Oslo",
        ):
            done = memory.add(text, user_id="alex")
            print_rows(f'"{text}"', ["event", "memory"], [[r["event"], r["memory"]] for r in done["results"]])
            print_relations(done["relations"], "entities and relations")
        say("2. By meaning, with no word in common: a hot drink for breakfast")
        found = memory.search("a hot drink for breakfast", user_id="alex", limit=2)
        print_rows(
            "memories", ["score", "memory"], [[f"{r['score']:.3f}", r["memory"]] for r in found["results"]]
        )
        say("3. By relation: people who work at Google")
        found = memory.search(
            "people who work at Google", user_id="alex", filters={"relationship": "WORKS_AT"}
        )
        print_relations(found["relations"])
        say("4. A change of mind is an update, and the past stays")
        done = memory.add("Actually, I prefer tea now", user_id="alex")
        rows: list[list[object]] = [
            [r["event"], r.get("previous_memory"), r["memory"]] for r in done["results"]
        ]
        print_rows("decided", ["event", "before", "now"], rows)
        print_relations(done["relations"], "holds now")
        print_relations(done["ended_relations"], "has ended")
        history = memory.history(done["results"][0]["id"])
        versions: list[list[object]] = [
            [v["version"], v["event"], v["old_memory"], v["new_memory"]] for v in history
        ]
        print_rows("history of that memory", ["version", "event", "old", "new"], versions)


def lose_and_rebuild(home: Path) -> bool:
    """Delete both projections, fold the log again, compare digests."""
    settings = settings_from(home=home)
    before = standings_on_disk(settings, settings.partitions)
    say("5. Both projections are deleted")
    shutil.rmtree(home / "projections")
    console.print(f"{home / 'projections'} is gone; the log is not")
    say("6. Rebuilt from the log, without any model")
    with Broker(home) as broker:
        again = settings_from(home=home, bootstrap_servers=broker.bootstrap)
        rebuild_served(again, ["vector", "graph"], "kafka", lambda built: None)
    after = standings_on_disk(settings, settings.partitions)
    rows: list[list[object]] = [
        [
            *shard,
            one.digest[:24],
            after[shard].digest[:24],
            "equal" if one.digest == after[shard].digest else "DIFFERS",
        ]
        for shard, one in before.items()
    ]
    print_rows("digests", ["projection", "partition", "before", "rebuilt", ""], rows)
    return all(one.digest == after[shard].digest for shard, one in before.items())


def main() -> None:
    home = Path(tempfile.mkdtemp(prefix="memfold-demo-"))
    try:
        say("memfold: starting a real Kafka and the Faust workers (the first start fetches Kafka, 45 MB)")
        remember(home)
        same = lose_and_rebuild(home)
        with Memory(home=home) as memory:
            say("7. Served from the rebuilt projections")
            found = memory.search("a hot drink for breakfast", user_id="alex", limit=1)
            console.print(found["results"][0]["memory"])
        say("everything stopped")
    finally:
        shutil.rmtree(home)
    if not same:
        raise SystemExit("the rebuilt projections differ: this is a defect, please report it")


if __name__ == "__main__":
    main()
