"""Whether a sentence corrects or ends what a memory says, going by its words: what relations cannot tell.

"My rent is 1100 euros now" beside "My rent is 900 euros", "I cancelled my subscription" beside "I have a subscription". Two things
must come together: a word that says that something has changed, and that the two sentences speak of the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from memfold.memory.facts import Similar
from memfold.memory.wording import terms
from memfold.providers.contradictions import ADDITION
from memfold.providers.vocabulary import wordset

CORRECTION = re.compile(
    r"\b(actually|correction|i meant|scratch that|my mistake|typo|mistyped|autocorrect|change of plans?"
    r"|from now on|no wait|i misspoke|turns? out)\b",
    re.IGNORECASE,
)
"""The speaker takes something back."""
CHANGED = re.compile(
    r"\b(now|these days|nowadays|instead|switched|changed|moved|replaced|postponed|rescheduled|became|new)\b",
    re.IGNORECASE,
)
"""Something has become something else."""
ENDED = re.compile(
    r"\b(no longer|no more|any ?more|stopped|quit|quitting|gave up|given up|cancel+ed|sold|broke|lost|retired|passed"
    r"|finished|done with|over|divorced|separated|died|closed|ended|dropped|got rid of|deleted|not .{1,20} any ?more)\b",
    re.IGNORECASE,
)
"""Something is over."""
POSSESSED = re.compile(
    r"\b(?:my|our) (?:[\w'-]+ ){0,2}?([\w'-]+?)(?:'s name)? (?:is|are|was|will be)\b", re.IGNORECASE
)
"""What "my rent is …" is about."""
CUES = wordset(
    """
    actual correct meant scratch mistak typo mistyp autocorrect chang plan now day nowaday instead switch longer anymor any more
    stop quit gave give up cancel sold sell broke lose lost retir new becam
    """
)
"""Stems that say that there is a change, not what of."""
HALF, MOST = 0.5, 0.6


def corrected(text: str, similar: Sequence[Similar]) -> Similar | None:
    """The one memory that a sentence takes the place of; None where there is none, or it cannot be told which."""
    if ADDITION.search(text):
        return None
    new = set(terms(text)) - CUES
    found = [(_in_common(text, new, each.text), each) for each in similar]
    certain = sorted((pair for pair in found if pair[0] > 0), key=lambda pair: -pair[0])
    if not certain or (len(certain) > 1 and certain[0][0] == certain[1][0]):
        return None
    return certain[0][1]


def _in_common(text: str, new: set[str], memory: str) -> float:
    """How much of what the memory says the sentence speaks of, 0 where that is too little for the kind of change it tells."""
    old = set(terms(memory)) - CUES
    shared = len(new & old) / len(old) if old else 0.0
    about = _about(text) & _about(memory)
    if CORRECTION.search(text) or ENDED.search(text):
        least = HALF
    elif CHANGED.search(text):
        least = HALF if about else MOST
    else:
        return 0.0
    if about and shared:
        return max(shared, least)
    return shared if shared >= least and len(new & old) >= min(2, len(old)) else 0.0


def _about(text: str) -> set[str]:
    return {term for match in POSSESSED.finditer(text) for term in terms(match[1])}
