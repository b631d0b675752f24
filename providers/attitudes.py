"""Whether a sentence likes what a memory dislikes, or the other way round, going by its words.

Relations tell it where both sentences say the same name of the thing; here "I hate jogging" is set beside "I like jogging in the park".
"""

from __future__ import annotations

import re
from typing import NamedTuple

from memfold.memory.wording import terms

AGAINST = (
    r"hates?|dislikes?|detests?|loathes?|(?:can['’]?t|cannot|can not) (?:stand|bear)"
    r"|(?:do|does)(?:n['’]t| not) (?:really )?(?:like|enjoy|love)"
    r"|(?:am|['’]m|is|['’]s) (?:not (?:into|a fan of|fond of)|(?:tired|sick) of)|(?:am|is)n['’]t (?:into|a fan of|fond of)"
    r"|(?:went|gone) off"
)
FOR = r"loves?|likes?|enjoys?|adores?|(?:am|['’]m|is|['’]s) (?:into|a (?:big )?fan of|fond of|crazy about)"
ATTITUDE = re.compile(
    rf"\b(?P<who>i|we|he|she|[A-ZÀ-Þ][\w-]+)(?: (?:really|just|actually|also|now|do|absolutely|kind of|sort of))*[ ]?"
    rf"(?:(?P<against>{AGAINST})|(?P<for>{FOR})) (?P<what>[^,.;:!?]+)",
    re.IGNORECASE,
)
JUDGED = re.compile(
    r"\b(?P<who>i) (?:find|think) (?P<what>[^,.;:!?]+?) (?:(?:is|are) )?(?:(?P<against>boring|dull|awful|terrible|overrated|disgusting)"
    r"|(?P<for>great|fun|wonderful|amazing|fascinating|delicious))\b",
    re.IGNORECASE,
)
TIMES = frozenset({"now", "anymor", "ani", "more", "day", "nowaday", "all", "realli", "again"})
"""Stems behind the verb that say when or how much, not what."""


class Attitude(NamedTuple):
    """Who likes it or not, and the stems of what."""

    who: str
    likes: bool
    what: frozenset[str]


def turned(text: str, memory: str) -> bool:
    """Whether somebody now likes what he disliked by the memory, or dislikes what he liked; what is less than that was stays."""
    return any(
        new.who == old.who and new.likes != old.likes and new.what <= old.what
        for new in _attitudes(text)
        for old in _attitudes(memory)
    )


def leaning(text: str) -> int:
    """1 for liking, -1 for disliking, 0 for neither or both."""
    return sum({True: 1, False: -1}[likes] for likes in {one.likes for one in _attitudes(text)})


def _attitudes(text: str) -> list[Attitude]:
    return [
        Attitude(found["who"].casefold(), found["for"] is not None, what)
        for pattern in (ATTITUDE, JUDGED)
        for found in pattern.finditer(text)
        if (what := frozenset(terms(found["what"])) - TIMES)
    ]
