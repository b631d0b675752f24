"""How much each part of a score counts."""

from __future__ import annotations

from msgspec import Struct


class Weights(Struct, frozen=True):
    """The measured defaults (docs/adr/0009); `memfold eval recall` measures others. A part that is 1 adds its weight.

    They belong to no embedder: fitted for wordllama and for MiniLM they came out the same to a tenth.
    """

    meaning: float = 0.9
    """Cosine of the question and the memory, without their frames and the speakers' names."""
    words: float = 0.4
    """BM25 of the question in the memory, its speaker and its day."""
    nearby: float = 0.95
    """The question in the memory and the ones beside it, and how well the one before it answers: an answer follows its question."""
    conversation: float = 0.55
    """BM25 of the question in the whole conversation."""
    speaker: float = 0.6
    """The question names who said it."""
    graph: float = 0.5
    """It is evidence of a relation of something that the question names; half of that over one more relation."""
    time: float = 0.7
    """It was said, or happened, when the question says."""
    substance: float = 0.45
    """How much it says: a greeting or a question back is seldom the answer."""
    recency: float = 0.02
    """The newest first where all else is equal."""
