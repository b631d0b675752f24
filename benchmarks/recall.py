"""Recall on conversations: `python benchmarks/recall.py FOLDER`, a folder of JSON files in LoCoMo's form (Maharana et al., 2024).

The folder is only read. Each turn is one memory, scoped to its conversation; scores are those of `memfold eval recall`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.table import Row, report
from memfold.memory.weights import Weights
from memfold.providers.presets import ModelSettings, embedder_from
from memfold.serve.evaluating import Measured, measure
from memfold.serve.evaluation_file import Asked, Material, Remembered

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}
WANTED = {"offline": 0.80, "minilm": 0.82}


def material(folder: Path, form: str) -> Material:
    """All conversations of a folder. `form`: how a turn is told, `line` ("(date) speaker: words") or `fields` (name, timestamp)."""
    memories: list[Remembered] = []
    questions: list[Asked] = []
    for path in sorted(folder.glob("*.json")):
        data = json.loads(path.read_text())
        mine = [memory for session in data["sessions"] for memory in _turns(session, path.stem, form)]
        known = {memory.id for memory in mine}
        memories += mine
        for asked in data["qa"]:
            named = set(re.findall(r"D\d+:\d+", " ".join(asked.get("evidence") or [])))
            evidence = {f"{path.stem}/{name}" for name in named} & known
            if asked.get("category") in CATEGORIES and evidence:
                category = CATEGORIES[asked["category"]]
                questions.append(Asked(asked["question"], sorted(evidence), category, path.stem))
    return Material(memories, questions)


def _turns(session: dict[str, Any], scope: str, form: str) -> list[Remembered]:
    when = datetime.strptime(session["date_time"].strip(), "%I:%M %p on %d %B, %Y")
    found = []
    for turn in session["turns"]:
        words = turn.get("text", "")
        if turn.get("blip_caption"):
            words += f" [photo: {turn['blip_caption']}]"
        name, said_at = f"{scope}/{turn['dia_id']}", when.isoformat()
        if form == "line":
            line = f"({when:%d %B %Y}) {turn['speaker']}: {words}"
            found.append(Remembered(name, line, None, said_at, None, scope))
        elif form == "bare-line":
            line = f"({when:%d %B %Y}) {turn['speaker']}: {words}"
            found.append(Remembered(name, line, None, None, None, scope))
        else:
            found.append(Remembered(name, words, turn["speaker"], said_at, None, scope))
    return found


def rows(measured: Measured, embedder: str) -> list[Row]:
    """A line a measure, the limit beside it."""
    overall, wanted = measured.mean(), WANTED.get(embedder, 0.0)
    detail = ", ".join(f"{scope} {measured.mean(scope=scope)['R@10']:.3f}" for scope in measured.scopes())
    found = [
        Row("R@10", f"{overall['R@10']:.3f}", f"{wanted:.2f}", detail, overall["R@10"] >= wanted),
        Row("R@5 / R@20", f"{overall['R@5']:.3f} / {overall['R@20']:.3f}", "", ""),
        Row("MRR / nDCG@10", f"{overall['MRR']:.3f} / {overall['nDCG@10']:.3f}", "", ""),
    ]
    for category in measured.categories():
        found.append(Row(f"R@10 {category}", f"{measured.mean(category)['R@10']:.3f}", "", ""))
    latency = f"{measured.percentile(0.5):.1f} / {measured.percentile(0.95):.1f} ms"
    return [*found, Row("search p50 / p95", latency, "", f"{measured.memories} memories")]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--form", choices=("line", "bare-line", "fields"), default="line")
    parser.add_argument("--embedder", default="offline")
    parser.add_argument("--weights", type=json.loads, default={}, help='JSON, e.g. {"graph": 0}')
    given = parser.parse_args()
    embedder = embedder_from(ModelSettings(embedder_provider=given.embedder))
    measured = asyncio.run(measure(material(given.folder, given.form), embedder, Weights(**given.weights)))
    report(rows(measured, given.embedder))


if __name__ == "__main__":
    main()
