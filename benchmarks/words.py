"""Words alone, two ways: `python benchmarks/words.py FOLDER`. Our BM25 in memory beside Lance's full-text search."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))

import lancedb
import pyarrow as pa
from lancedb.index import FTS

from benchmarks.recall import material
from benchmarks.table import Row, percentiles, report
from memfold.memory.bm25 import BM25, Occurrences, Vocabulary
from memfold.memory.wording import terms
from memfold.serve.evaluating import scored
from memfold.serve.evaluation_file import Material

Search = Callable[[str, str], list[str]]


def ours(found: Material) -> Search:
    """One index a conversation."""
    indices = {}
    for scope in {memory.scope for memory in found.memories}:
        mine = [memory for memory in found.memories if memory.scope == scope]
        vocabulary = Vocabulary()
        documents = Occurrences.of([terms(memory.text) for memory in mine], vocabulary)
        indices[scope] = (BM25(documents, len(vocabulary)), vocabulary, [memory.id for memory in mine])

    def search(scope: str, question: str) -> list[str]:
        index, vocabulary, ids = indices[scope]
        asked = {vocabulary[term] for term in terms(question) if term in vocabulary}
        return [ids[place] for place in (-index.scores(sorted(asked))).argsort(kind="stable")[:20]]

    return search


def lances(found: Material, folder: str) -> Search:
    """One table of all, filtered by conversation before the cut; stemmed, with Lance's stop words."""
    rows = pa.table(
        {
            "id": [memory.id for memory in found.memories],
            "scope": [memory.scope for memory in found.memories],
            "text": [memory.text for memory in found.memories],
        }
    )
    table = lancedb.connect(folder).create_table("memories", rows)
    table.create_index("text", config=FTS(stem=True, remove_stop_words=True, language="English"))

    def search(scope: str, question: str) -> list[str]:
        words = " ".join(word for word in question.split() if word.isalnum()) or question
        query = table.search(words, query_type="fts").where(f"scope = '{scope}'", prefilter=True)
        ids: list[str] = query.limit(20).select(["id"]).to_arrow()["id"].to_pylist()
        return ids

    return search


def row(name: str, found: Material, search: Search) -> Row:
    """R@10 and times of one way."""
    taken, recall = [], []
    for asked in found.questions:
        began = time.perf_counter()
        ranked = search(asked.scope, asked.question)
        taken.append(time.perf_counter() - began)
        recall.append(scored(ranked, set(asked.evidence))["R@10"])
    p50, p95 = percentiles(taken)
    return Row(name, f"R@10 {sum(recall) / len(recall):.3f}", "", f"p50 / p95 {p50:.2f} / {p95:.2f} ms")


def main() -> None:
    """Prints both beside each other."""
    found = material(Path(sys.argv[1]), "line")
    with TemporaryDirectory() as folder:
        report([row("our BM25", found, ours(found)), row("Lance FTS", found, lances(found, folder))])


if __name__ == "__main__":
    main()
