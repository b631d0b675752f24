"""Weights fitted on some conversations and measured on the others: `python benchmarks/fit.py FOLDER [--embedder …] [--without PART …]`.

Listwise: the weights under which a question's evidence is likeliest among all memories of its conversation (softmax of the evidence), by
gradient descent with a small penalty on large weights. Each half is fitted and the other one measured; last all together, which is what
the defaults were rounded from.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.recall import material
from benchmarks.table import Row, report
from memfold.memory.framing import embedded
from memfold.memory.ports import Embedder, Within
from memfold.memory.questions import Question
from memfold.memory.ranking import parts_of
from memfold.memory.weights import Weights
from memfold.providers.presets import ModelSettings, embedder_from
from memfold.serve.evaluating import scored
from memfold.serve.evaluation_file import Material
from memfold.serve.evaluation_room import TENANT, Room

SHARPNESS = 5.0
"""Evidence times this is the exponent of the softmax: it only sets the scale on which weights are about 1."""
PENALTY = 1e-3 * SHARPNESS**2
STEPS, PACE = 400, 0.05


class Example(NamedTuple):
    """A question: its category, its parts (memories by parts), which memories are its evidence, their ids."""

    category: str
    scope: str
    parts: NDArray[np.float32]
    evidence: NDArray[np.bool_]
    ids: list[str]


async def examples(found: Material, embedder: Embedder, names: list[str]) -> list[Example]:
    """Every question with the parts that the real ranking gives it."""
    made = []
    with TemporaryDirectory() as folder, closing(Room(Path(folder), embedder, Weights())) as room:
        for scope in dict.fromkeys(memory.scope for memory in found.memories):
            await room.add(scope, [memory for memory in found.memories if memory.scope == scope])
            subject = room.recalling.subjects.subject_of(TENANT, "user", scope)
            corpus = await room.recalling.corpora.of(Within((subject,)))
            assert corpus is not None
            ids = [msgspec.json.decode(row.metadata)["id"] for row in corpus.rows]
            for asked in found.questions:
                if asked.scope == scope:
                    question = Question.read(asked.question, corpus, datetime.now(UTC).date())
                    (vector,) = await embedder.embed([embedded(question.bare)])
                    parts = parts_of(question, vector, corpus)
                    matrix = np.stack([parts[name] for name in names], axis=1)
                    evidence = np.isin(ids, asked.evidence)
                    made.append(Example(asked.category, scope, matrix, evidence, ids))
    return made


def fitted(known: list[Example]) -> NDArray[np.float64]:
    """One weight a part, none below 0 (Adam; Kingma & Ba, 2015)."""
    weights = np.full(known[0].parts.shape[1], 0.5)
    mean, spread = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, STEPS + 1):
        gradient = 2 * PENALTY * weights / SHARPNESS
        for example in known:
            scores = SHARPNESS * (example.parts @ weights)
            chance = np.exp(scores - scores.max())
            chance /= chance.sum()
            wanted = example.evidence / example.evidence.sum()
            gradient -= SHARPNESS * ((wanted - chance) @ example.parts) / len(known)
        mean, spread = 0.9 * mean + 0.1 * gradient, 0.999 * spread + 0.001 * gradient**2
        weights -= PACE * (mean / (1 - 0.9**step)) / (np.sqrt(spread / (1 - 0.999**step)) + 1e-8)
        weights = np.maximum(weights, 0)
    return weights


def recall(shown: list[Example], weights: NDArray[np.float64]) -> dict[str, float]:
    """R@10 over all, and by category."""
    by_category: dict[str, list[float]] = {}
    for example in shown:
        order = np.argsort(-(example.parts @ weights), kind="stable")[:10]
        evidence = {example.ids[place] for place in np.flatnonzero(example.evidence)}
        value = scored([example.ids[place] for place in order], evidence)["R@10"]
        for name in ("all", example.category):
            by_category.setdefault(name, []).append(value)
    return {name: sum(values) / len(values) for name, values in by_category.items()}


def row(name: str, shown: list[Example], weights: NDArray[np.float64], names: list[str]) -> Row:
    found = recall(shown, weights)
    kinds = ", ".join(f"{kind} {value:.3f}" for kind, value in sorted(found.items()) if kind != "all")
    line = " ".join(f"{part} {weight:.2f}" for part, weight in zip(names, weights, strict=True))
    return Row(name, f"R@10 {found['all']:.3f} ({kinds})", "", line)


def main() -> None:
    """A line for each half that was held back, for all, and for the defaults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--embedder", default="offline")
    parser.add_argument("--without", nargs="*", default=[], help="parts to leave out")
    given = parser.parse_args()
    names = [name for name in Weights.model_fields if name not in given.without]
    embedder = embedder_from(ModelSettings(embedder_provider=given.embedder))
    known = asyncio.run(examples(material(given.folder, "line"), embedder, names))
    scopes = sorted({example.scope for example in known})
    rows = []
    for half in (scopes[: len(scopes) // 2], scopes[len(scopes) // 2 :]):
        mine = [example for example in known if example.scope in half]
        others = [example for example in known if example.scope not in half]
        rows.append(row(f"fitted on {' '.join(half)}, measured on the others", others, fitted(mine), names))
    rows.append(row("fitted on all, measured on all", known, fitted(known), names))
    defaults = Weights().model_dump()
    rows.append(row("the defaults", known, np.array([defaults[name] for name in names]), names))
    report(rows)


if __name__ == "__main__":
    main()
