"""A configuration as Mem0 writes it, read into memfold's settings: what has an effect, what has none and why, what is refused.

`Memory.from_config({"llm": {"provider": "groq", "config": {"model": "..."}}})`. Where nothing is said of `llm` or `embedder`
the offline models are used, not OpenAI's.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from memfold.memory.errors import InvalidInput
from memfold.serve.mem0_parts import Part, part_settings
from memfold.serve.mem0_reranker import reranker_settings

IGNORED: Mapping[str, str] = {
    "vector_store": "vectors are kept in LanceDB in the home; `memfold projection add` mirrors them in another store",
    "graph_store": "relations are kept as RDF in the home, a projection of the log; they are found in the call that finds facts",
    "history_db_path": "the log itself is the history; `history` and `memfold history` read it",
    "reranker": "of re-rankers there is llm_reranker; memories are ranked without",
    "version": "results always have the shape of v1.1",
    "enable_graph": "relations are always found",
}
_AS_IT_IS = {"version": "v1.1", "enable_graph": True}
"""Values that say what memfold does anyway."""


class IgnoredSetting(UserWarning):
    """Something in a Mem0 configuration has no effect in memfold. Do: nothing, or leave it out."""


class GraphPart(Part):
    llm: Part | None = None
    custom_prompt: str | None = None
    threshold: float | None = None


class MemoryConfig(BaseModel):
    """Mem0's configuration. Fields that it has and memfold has no use for are accepted and named in one warning."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    llm: Part = Part()
    embedder: Part = Part()
    vector_store: Part | None = None
    graph_store: GraphPart | None = None
    reranker: Part | None = None
    history_db_path: str | None = None
    version: Literal["v1.0", "v1.1"] | None = None
    enable_graph: bool | None = None
    custom_fact_extraction_prompt: str | None = None
    custom_update_memory_prompt: str | None = None
    custom_prompt: str | None = Field(
        default=None, description="The older name of custom_fact_extraction_prompt."
    )

    def settings(self) -> dict[str, Any]:
        """What it says, as memfold's `models` and `reranker`. Raises InvalidInput naming the field; warns once of what has no effect."""
        told: list[str] = []
        reranker = reranker_settings(self.reranker, told) if self.reranker else None
        ignored = [
            f"{name} ({why})"
            for name, why in IGNORED.items()
            if getattr(self, name) not in (None, _AS_IT_IS.get(name))
            and not (name == "reranker" and reranker)
        ] + told
        if self.custom_prompt is not None and self.custom_fact_extraction_prompt is not None:
            raise InvalidInput(
                "custom_prompt is the older name of custom_fact_extraction_prompt; give one of them"
            )
        models = part_settings("llm", self.llm, ignored) | part_settings("embedder", self.embedder, ignored)
        models["custom_fact_extraction_prompt"] = self.custom_fact_extraction_prompt or self.custom_prompt
        models["custom_update_memory_prompt"] = self.custom_update_memory_prompt
        if ignored:
            warnings.warn(f"without effect: {'; '.join(ignored)}", IgnoredSetting, stacklevel=4)
        found = {"models": {name: value for name, value in models.items() if value is not None}}
        return found | ({"reranker": reranker} if reranker else {})


def settings_of(config: Mapping[str, Any] | MemoryConfig) -> dict[str, Any]:
    """memfold's settings for a Mem0 configuration. Raises InvalidInput naming each field that cannot be accepted."""
    if isinstance(config, MemoryConfig):
        return config.settings()
    try:
        read = MemoryConfig.model_validate(dict(config))
    except ValidationError as wrong:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in wrong.errors()]
        known = ", ".join(MemoryConfig.model_fields)
        raise InvalidInput(f"config: {'; '.join(lines)}. Known are {known}") from None
    return read.settings()
