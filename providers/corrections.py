"""Whether a sentence corrects or ends what a memory says, going by its words: what relations cannot tell.

"My rent is 1100 euros now" beside "My rent is 900 euros", "I cancelled my subscription" beside "I have a subscription". Two things
must come together: words that say that something was wrong, has changed or is over, and that both sentences speak of the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from memfold.memory.facts import Similar
from memfold.memory.wording import terms, words
from memfold.providers.contradictions import ADDITION
from memfold.providers.cues import CHANGED, CORRECTED, CUES, DONE, ENDING, LIGHT, NOT_THIS, POSSESSED

NAME = re.compile(r"(?<![.!?] )(?<!^)\b[A-ZÀ-Þ][\w'’-]+")
LITTLE, HALF, MOST = 0.4, 0.5, 0.6


def takes_back(text: str) -> bool:
    """Whether a message says that something was wrong: "Typo!", "I meant five miles"."""
    return bool(CORRECTED.search(text))


def corrected(text: str, similar: Sequence[Similar], taken_back: bool = False) -> Similar | None:
    """The one memory that a sentence takes the place of; None where there is none, or it cannot be told which.

    `taken_back`: another sentence of the message has said that something was wrong.
    """
    ranked = sorted(
        ((_spoken_of(text, each.text, taken_back), each) for each in similar), key=lambda pair: -pair[0]
    )
    certain = [pair for pair in ranked if pair[0] > 0]
    if not certain or (len(certain) > 1 and certain[0][0] == certain[1][0]):
        return None
    return certain[0][1]


def _spoken_of(text: str, memory: str, taken_back: bool) -> float:
    """How far the sentence speaks of what the memory says; 0 where that is too little for the kind of change that it tells."""
    new, old = set(terms(text)) - CUES, set(terms(memory)) - CUES - LIGHT
    if not old:
        return 0.0
    shared = len(new & old) / len(old)
    # What a memory says to be over cannot end once more.
    if not any(gone(memory, *ENDING)):
        for ended in gone(text, *ENDING):
            if len(ended & old) >= HALF * len(ended) and not _would_lose(memory, ended, new):
                return max(shared, HALF)
        if any(ended <= old and len(ended) >= HALF * len(old) for ended in gone(text, DONE)):
            return max(shared, HALF)
    if puts_aside(text, memory):
        return max(shared, MOST)
    same = about(text) & about(memory)
    if taken_back or takes_back(text):
        least = HALF
    elif CHANGED.search(text) and not ADDITION.search(text):
        least = LITTLE if names(text) & names(memory) else HALF if same else MOST
    else:
        return 0.0
    if same and shared:
        return max(shared, least)
    return shared if shared >= least and len(new & old) >= min(2, len(old)) else 0.0


def gone(text: str, *said_so: re.Pattern[str]) -> Iterator[set[str]]:
    """What is said to be over, in stems."""
    for found in (found for said in said_so for found in said.finditer(text)):
        over = {term for said in found.groupdict().values() if said for term in terms(said)} - CUES - LIGHT
        if over:
            yield over


def puts_aside(text: str, memory: str) -> bool:
    """Whether "X, not Y" puts aside what the memory says, and more than Y is common to both: else "cats, not dogs" is no change."""
    known = set(words(memory))
    for found in NOT_THIS.finditer(text):
        aside = set(words(found["what"] or found["else"]))
        beside = set(terms(NOT_THIS.sub(" ", text))) - CUES
        if (
            aside
            and aside <= known
            and (beside & set(terms(memory)) or re.search(r"\bit(?:['’]s| is)\b", text))
        ):
            return True
    return False


def _would_lose(memory: str, gone: set[str], new: set[str]) -> bool:
    """Whether the memory names something else beside what is over: "Netflix and Disney", of which one was cancelled.

    Not if the sentence names it too: "I cancelled Netflix, kept Disney".
    """
    named = names(memory)
    return bool(named & gone) and bool(named - gone - new) and " and " in memory


def about(text: str) -> set[str]:
    return {term for match in POSSESSED.finditer(text) for term in terms(match[1])}


def names(text: str) -> set[str]:
    """The stems of capitalised words; the first of a sentence counts only where it cannot be anything else."""
    first = re.match(r"[A-ZÀ-Þ][\w-]+(?=['’]s\b| and [A-Z]| (?:works?|lives?|goes|has|is|was)\b)", text)
    found = [match[0] for match in NAME.finditer(text)] + ([first[0]] if first else [])
    return {term for name in found for term in terms(name)}
