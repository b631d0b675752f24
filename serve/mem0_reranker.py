"""`reranker` of a Mem0 configuration as memfold's setting `reranker`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memfold.memory.errors import InvalidInput
from memfold.serve.mem0_parts import Part, part_settings

LLM = ("llm", "llm_reranker")
"""Mem0's name, and ours."""
_SETS = {"top_k": "top", "top": "top", "strict": "strict", "seconds": "seconds"}
_UNUSED = {
    "temperature": "it is 0",
    "max_tokens": "one call reads all",
    "scoring_prompt": "memfold has its own",
}


def reranker_settings(part: Part, ignored: list[str]) -> dict[str, Any] | None:
    """The setting; None for a re-ranker that memfold does not have. What has no effect is added to `ignored`. Raises InvalidInput."""
    if part.provider not in LLM:
        return None
    found: dict[str, Any] = {"provider": "llm"}
    model = {name: value for name, value in part.config.items() if name in ("model", "api_key")}
    for name, value in part.config.items():
        if name in _SETS and value is not None:
            found[_SETS[name]] = value
        elif name in _UNUSED:
            ignored.append(f"reranker.config.{name} ({_UNUSED[name]})")
        elif name not in (*_SETS, *model, "provider", "llm"):
            known = ", ".join([*_SETS, "provider", "model", "api_key", "llm", *_UNUSED])
            raise InvalidInput(f"reranker.config.{name} is not known; known are {known}")
    nested = part.config.get("llm")
    if nested is not None and not isinstance(nested, Mapping):
        raise InvalidInput(
            f"reranker.config.llm is a {type(nested).__name__}; it is a dict of provider and config"
        )
    provider = (nested or {}).get("provider") or part.config.get("provider")
    config = model | dict((nested or {}).get("config") or {})
    if provider is None and config:
        raise InvalidInput("reranker.config names a model without its provider; set reranker.config.provider")
    chosen = part_settings("llm", Part(provider=provider, config=config), ignored)
    own = {"llm_provider", "llm_model", "llm_base_url", "llm_api_key"}
    ignored += [f"reranker: {name} (it is not sent)" for name in sorted(set(chosen) - own)]
    return found | {name: value for name, value in chosen.items() if name in own}
