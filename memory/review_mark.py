"""The mark on a memory whose text rests on what was taken back: a key of its metadata, so that it is seen and filtered like one."""

from __future__ import annotations

import json

from msgspec.structs import replace

from memfold.schemas.records import Operation

KEY = "memfold_review"
"""In a memory's metadata: why somebody should look at it."""


def review_of(metadata: str) -> str:
    """Why somebody should look; empty where nobody need."""
    # Nearly all metadata has no mark, and need not be parsed.
    return str(json.loads(metadata).get(KEY, "")) if KEY in metadata else ""


def with_review(metadata: str, why: str) -> str:
    """The metadata with this mark instead of the one it has; empty: without any."""
    if not why and KEY not in metadata:
        return metadata
    told = {name: value for name, value in json.loads(metadata).items() if name != KEY}
    told |= {KEY: why} if why else {}
    return json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def marked_with(done: Operation, why: str) -> Operation:
    return replace(done, metadata=with_review(done.metadata, why))
