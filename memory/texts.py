"""When two texts are the same, when a message was heard before, and the ids that follow from a command."""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Iterable
from hashlib import sha256

from memfold.schemas.records import Message, Scope

_WORD = re.compile(r"\w+")
_FILLERS = frozenset(
    re.findall(
        r"\w+",
        "actually really very just so also too now well oh ah ok okay hey hi hello please again still anyway btw yes "
        "absolutely totally right",
    )
)
_ASIDES = re.compile(
    r"\b(?:just so you know|by the way|to be honest|honestly|as i said|like i (?:said|told you)|you know|did i tell you( that)?"
    r"|i (?:think i )?(?:already )?(?:said|told you|mentioned)( that)?|remember( that)?|for the record)\b[,:?]?"
)
"""What people put around a fact that they tell again."""
_CONTRACTIONS = (
    ("can't", "can not"),
    ("won't", "will not"),
    ("n't", " not"),
    ("'m", " am"),
    ("'re", " are"),
    ("'ve", " have"),
    ("'ll", " will"),
    ("'s", " is"),
)


def same_key(text: str) -> str:
    """Equal for texts that differ only in case, spacing, punctuation or Unicode form (NFKC)."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_WORD.findall(folded)) or folded


def plain_words(text: str) -> list[str]:
    """The words of a sentence in small letters, contractions written out, fillers ("really", "by the way") left out.

    Where nothing else is said, the fillers are all that is said.
    """
    text = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    for short, long in _CONTRACTIONS:
        text = text.replace(short, long)
    words = [word for word in re.findall(r"[\w']+", _ASIDES.sub(" ", text)) if word not in _FILLERS]
    return words or re.findall(r"[\w']+", text)


def said_key(scope: Scope, messages: Iterable[Message], day: str = "") -> str:
    """128 bits of SHA-256, as hex, of who said what in which scope, fillers aside: equal for a message that was heard before.

    `day` is part of it for what tells of a day relative to its own ("tomorrow"): said again on another day it is another fact.
    """
    parts = [*(name or "" for name in scope.ids()), day]
    for message in messages:
        parts += [message.role, message.name or "", *(plain_words(message.content) or [message.content])]
    return sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def derived_id(command_id: uuid.UUID, kind: str, ordinal: int) -> str:
    """UUIDv5 of (command id, kind, ordinal): a command decided twice gives the same ids."""
    return str(uuid.uuid5(command_id, f"{kind}/{ordinal}"))
