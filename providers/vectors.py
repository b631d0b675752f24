"""Vectors as a model gave them, checked before they are believed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from memfold.memory.ports import Vectors
from memfold.providers.json_answers import UnusableAnswer


def unit_rows(given: Sequence[Sequence[float]], count: int, dimensions: int) -> Vectors:
    """Unit rows, float32, shape (count, dimensions). Raises UnusableAnswer for NaN, infinity, zero, or another shape."""
    if len(given) != count:
        raise UnusableAnswer(f"{len(given)} vectors for {count} texts")
    lengths = {len(row) for row in given} - {dimensions}
    if lengths:
        raise UnusableAnswer(
            f"a vector has {min(lengths)} dimensions, {dimensions} are configured; set embedder_dimensions to what the model gives"
        )
    rows = np.asarray(given, dtype=np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(norms).all():
        raise UnusableAnswer("a vector holds NaN or infinity")
    if not norms.all():
        raise UnusableAnswer("a vector is zero")
    unit: Vectors = (rows / norms).astype(np.float32)
    return unit
