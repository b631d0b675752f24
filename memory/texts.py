"""When two texts are the same, and the ids that follow from a command."""

from __future__ import annotations

import re
import unicodedata
import uuid

_WORD = re.compile(r"\w+")


def same_key(text: str) -> str:
    """Equal for texts that differ only in case, spacing, punctuation or Unicode form (NFKC)."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_WORD.findall(folded)) or folded


def derived_id(command_id: uuid.UUID, kind: str, ordinal: int) -> str:
    """UUIDv5 of (command id, kind, ordinal): a command decided twice gives the same ids."""
    return str(uuid.uuid5(command_id, f"{kind}/{ordinal}"))
