"""How much each part of a score counts."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Weights(BaseModel):
    """The measured defaults; `memfold eval recall` measures others. A part that is 1 adds its weight to the evidence.

    Fitted for wordllama and for MiniLM they came out alike but for `meaning` (1.0 and 1.4), which moves R@10 by less than a hundredth.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    meaning: float = Field(
        default=0.9, ge=0, description="Cosine of question and memory, without frames and speakers' names."
    )
    words: float = Field(
        default=0.4, ge=0, description="BM25 of the question in the memory, its speaker and its day."
    )
    nearby: float = Field(
        default=0.95,
        ge=0,
        description="BM25 in the memory and those beside it, and how well the one before it fits: an answer follows its question.",
    )
    conversation: float = Field(default=0.55, ge=0, description="BM25 in the whole conversation.")
    speaker: float = Field(default=0.6, ge=0, description="The question names who said it.")
    graph: float = Field(
        default=0.5,
        ge=0,
        description="Evidence of a relation of what the question names; half over one more relation.",
    )
    time: float = Field(default=0.7, ge=0, description="It was said, or happened, when the question says.")
    substance: float = Field(
        default=0.45,
        ge=0,
        description="How much it says: a greeting or a question back is seldom the answer.",
    )
    recency: float = Field(default=0.02, ge=0, description="The newest first where all else is equal.")
