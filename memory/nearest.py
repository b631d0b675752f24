"""Exact nearest neighbours among one subject's memories, kept current row by row: nothing is rebuilt for each fact."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from memfold.memory.ports import Vectors

_FIRST_ROWS = 64


class Nearest:
    """Unit vectors by memory id; those of one subject all have the same length."""

    def __init__(self) -> None:
        self._matrix: NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)
        self._ids: list[str] = []
        self._row: dict[str, int] = {}

    def put(self, memory_id: str, vector: bytes) -> None:
        """Add or replace one; `vector` is float16, little-endian. An empty one is not found by meaning."""
        self.drop(memory_id)
        if not vector:
            return
        values = np.frombuffer(vector, dtype="<f2").astype(np.float32)
        row = len(self._ids)
        if row == len(self._matrix):
            grown = np.zeros((max(_FIRST_ROWS, 2 * row), len(values)), dtype=np.float32)
            grown[:row] = self._matrix[:row] if row else 0
            self._matrix = grown
        self._matrix[row] = values
        self._row[memory_id] = row
        self._ids.append(memory_id)

    def drop(self, memory_id: str) -> None:
        """Take one out: the last row takes its place."""
        row = self._row.pop(memory_id, None)
        if row is None:
            return
        last = self._ids.pop()
        if last != memory_id:
            self._matrix[row] = self._matrix[len(self._ids)]
            self._ids[row] = last
            self._row[last] = row

    def best(
        self, vectors: Vectors, accept: Callable[[str], bool], count: int
    ) -> list[list[tuple[str, float]]]:
        """For each row of `vectors`, up to `count` accepted ids with their cosine, best first, ties by id."""
        if not self._ids:
            return [[] for _ in vectors]
        return [self._of(scores, accept, count) for scores in vectors @ self._matrix[: len(self._ids)].T]

    def _of(self, scores: Vectors, accept: Callable[[str], bool], count: int) -> list[tuple[str, float]]:
        found: list[tuple[str, float]] = []
        for row in np.argsort(-scores, kind="stable"):
            # Equal scores are rare, but their order must not depend on how rows were moved about.
            if len(found) >= count and scores[row] < found[-1][1]:
                break
            if accept(self._ids[row]):
                found.append((self._ids[row], float(scores[row])))
        return sorted(found, key=lambda one: (-one[1], one[0]))[:count]
