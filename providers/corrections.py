"""Whether a sentence corrects or ends what a memory says, going by its words: what relations cannot tell.

"My rent is 1100 euros now" beside "My rent is 900 euros", "I cancelled my subscription" beside "I have a subscription". Two things
must come together: words that say that something was wrong, has changed or is over, and that both sentences speak of the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from memfold.memory.facts import Similar
from memfold.memory.wording import terms
from memfold.providers.contradictions import ADDITION
from memfold.providers.vocabulary import wordset

CORRECTED = re.compile(
    r"\b(actually|correction|i meant|scratch that|my (?:mistake|bad)|typo|mistyped|misspoke|autocorrect|change of plans?"
    r"|from now on|no wait|oops|turns? out|got (?:that|it) wrong|should(?: ha|'|’)ve said|make that|changed (?:my|her|his) mind)\b"
    r"|^not \w+,|, not (?:the |a |an |my )?[\w'’-]+[.!]?$",
    re.IGNORECASE,
)
"""The speaker takes something back."""
CHANGED = re.compile(
    r"\b(now|these days|nowadays|switched|changed|moved|replaced|postponed|rescheduled|became|traded)\b",
    re.IGNORECASE,
)
"""Something has become something else."""
OVER = re.compile(
    r"\b(?:no longer|stopped|quit|quitting|gave up|given up|cancel+ed|sold|traded in|broke up|broke|lost|finished|dropped|got rid of"
    r"|deleted|unsubscribed|divorced|separated|left|retired from|done with|(?:do|does)(?:n['’]t| not)(?=.{2,60}\bany ?more\b))\b"
    r"(?P<what>[^,.;!?]*)",
    re.IGNORECASE,
)
"""Something is over; what, stands behind it."""
GONE = re.compile(
    r"(?P<what>[^,.;!?]*?) (?:(?:are|is|got|have|has) (?:been )?(?:divorced|separated|over|cancelled|sold|closed|gone)"
    r"|broke up|split up|broke|died|closed|retired|expired|got stolen|was stolen)\b"
    r"|\b(?:not|n['’]t) (?P<plan>[^,.;!?]*) after all\b",
    re.IGNORECASE,
)
"""Something is over; what, stands before it."""
INSTEAD = re.compile(r"\binstead of (?:my |the |a |an )?(?P<what>[^,.;!?]*)", re.IGNORECASE)
POSSESSED = re.compile(
    r"\b(?:my|our|the) (?:[\w-]+ ){0,2}?([\w-]+?)(?:['’]s)?(?: name)? ?(?:is|are|was|will be|['’]s)\b",
    re.IGNORECASE,
)
"""What "my rent is …" is about."""
CUES = wordset(
    """
    actual correct meant scratch mistak typo mistyp autocorrect chang plan now day nowaday instead switch longer anymor any more
    stop quit gave give up cancel sold sell lose lost becam wrong oop wait turn out mind divorc separ left
    """
)
"""Stems that say that there is a change, not what of."""
NAME = re.compile(r"(?<![.!?] )(?<!^)\b[A-ZÀ-Þ][\w'’-]+")
LITTLE, HALF, MOST = 0.4, 0.5, 0.6


def corrected(text: str, similar: Sequence[Similar]) -> Similar | None:
    """The one memory that a sentence takes the place of; None where there is none, or it cannot be told which."""
    ranked = sorted(((_spoken_of(text, each.text), each) for each in similar), key=lambda pair: -pair[0])
    certain = [pair for pair in ranked if pair[0] > 0]
    if not certain or (len(certain) > 1 and certain[0][0] == certain[1][0]):
        return None
    return certain[0][1]


def _spoken_of(text: str, memory: str) -> float:
    """How far the sentence speaks of what the memory says; 0 where that is too little for the kind of change that it tells."""
    new, old = set(terms(text)) - CUES, set(terms(memory)) - CUES
    if not old:
        return 0.0
    shared = len(new & old) / len(old)
    # What a memory says to be over cannot end once more.
    for gone in _gone(text) if not any(_gone(memory)) else ():
        if len(gone & old) >= HALF * len(gone) and not _would_lose(memory, gone):
            return max(shared, HALF)
    about = _about(text) & _about(memory)
    if CORRECTED.search(text):
        least = HALF
    elif CHANGED.search(text) and not ADDITION.search(text):
        least = LITTLE if _names(text) & _names(memory) else HALF if about else MOST
    else:
        return 0.0
    if about and shared:
        return max(shared, least)
    return shared if shared >= least and len(new & old) >= min(2, len(old)) else 0.0


def _gone(text: str) -> Iterator[set[str]]:
    """What is said to be over, in stems."""
    for found in (*OVER.finditer(text), *GONE.finditer(text), *INSTEAD.finditer(text)):
        gone = {term for said in found.groupdict().values() if said for term in terms(said)} - CUES
        if gone:
            yield gone


def _would_lose(memory: str, gone: set[str]) -> bool:
    """Whether the memory names something else beside what is over: "Netflix and Disney", of which one was cancelled."""
    named = _names(memory)
    return bool(named & gone) and bool(named - gone) and " and " in memory


def _about(text: str) -> set[str]:
    return {term for match in POSSESSED.finditer(text) for term in terms(match[1])}


def _names(text: str) -> set[str]:
    """The stems of capitalised words; the first of a sentence counts only where it cannot be anything else."""
    first = re.match(r"[A-ZÀ-Þ][\w-]+(?=['’]s\b| and [A-Z]| (?:works?|lives?|goes|has|is|was)\b)", text)
    found = [match[0] for match in NAME.finditer(text)] + ([first[0]] if first else [])
    return {term for name in found for term in terms(name)}
