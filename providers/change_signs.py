"""What can be seen of a sentence beside a memory that tells whether it takes the memory's place.

Each sign has a name that a reader of `replacing.json` understands; how much one counts is found by `benchmarks/replacing.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from memfold.memory.facts import FoundFact, Similar
from memfold.memory.wording import terms
from memfold.providers import cues
from memfold.providers.attitudes import leaning, turned
from memfold.providers.contradictions import ADDITION, against, contradicts
from memfold.providers.corrections import about, gone, names, puts_aside, takes_back

NUMBER = re.compile(
    r"\d[\d.,:]*|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|first|second|third|fourth|fifth"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day|january|february|march|april|june|july|august|september|october|november|december)s?\b",
    re.IGNORECASE,
)
NO = re.compile(r"\b(?:not|no|never|none|without)\b|n['’]t\b", re.IGNORECASE)
UNSURE = re.compile(r"\b(?:do|does)n['’]t (?:think|know|believe|remember)", re.IGNORECASE)
WHO = re.compile(r"\b(i|we|my|our|he|she|they|it)\b(?:['’]\w+)?(?: ([\w-]+))?", re.IGNORECASE)


def change_signs(fact: FoundFact, text: str, memory: Similar) -> frozenset[str]:
    """The names of the signs. `text`, and the memory's, are without the name of who said them."""
    new, old = set(terms(text)) - cues.CUES, set(terms(memory.text)) - cues.CUES
    shared = new & old
    found = {*_overlap(shared, new, old, memory.score), *_relations(fact, memory), *_alike(text, memory.text)}
    if shared:
        found |= set(_change(fact, text, memory.text, old))
        if len(shared) >= len(old) / 2:
            found |= {
                f"{sign}, of the same"
                for sign in ("corrected", "changed", "denied", "other number")
                if sign in found
            }
    return frozenset(found)


def _overlap(shared: set[str], new: set[str], old: set[str], score: float) -> Iterator[str]:
    yield f"words shared: {min(len(shared), 3)}"
    for least in (0.3, 0.5, 0.7):
        if len(shared) >= least * len(old):
            yield f"{least:.0%} of the memory's words"
        if len(shared) >= least * len(new):
            yield f"{least:.0%} of its own words"
        if score >= least:
            yield f"cosine {least}"


def _alike(text: str, memory: str) -> Iterator[str]:
    who = _who(text)
    if who and who == _who(memory):
        yield "same subject"
    if about(text) & about(memory):
        yield "same possession"
    named, known = names(text), names(memory)
    if named & known:
        yield "same name"
    elif named and known:
        yield "another name"
    if leaning(text) == leaning(memory) != 0:
        yield "same liking"
    if turned(text, memory):
        yield "liking turned"
    if ADDITION.search(text):
        yield "addition"
    if text.rstrip().endswith("?"):
        yield "asked"


def _change(fact: FoundFact, text: str, memory: str, old: set[str]) -> Iterator[str]:
    if takes_back(text) or fact.takes_back:
        yield "corrected"
    if cues.CHANGED.search(text):
        yield "changed"
    # What a memory says to be over cannot end once more.
    over = [] if any(gone(memory, *cues.ENDING)) else list(gone(text, *cues.ENDING))
    if over:
        yield "over"
    if any(len(one & old) >= len(one) / 2 for one in over):
        yield "it is over"
    if puts_aside(text, memory):
        yield "put aside"
    if NO.search(UNSURE.sub("", text)) and not NO.search(memory) and not any(gone(memory, *cues.ENDING)):
        yield "denied"
    numbers, known = (set(map(str.casefold, NUMBER.findall(one))) for one in (text, memory))
    if numbers and known and numbers != known:
        yield "other number"


def _relations(fact: FoundFact, memory: Similar) -> Iterator[str]:
    if contradicts(fact, memory):
        yield "relation contradicts"
    pairs = [
        (new, old)
        for new in fact.relations
        for old in memory.relations
        if new.source.casefold() == old.source.casefold()
    ]
    if any(against(new, old, True) for new, old in pairs):
        yield "relation may contradict"
    if any(new.relationship == old.relationship for new, old in pairs):
        yield "same relationship"


def _who(text: str) -> str:
    """Whom it is about: "i", or "my sister"; empty where no such word stands in it."""
    found = WHO.search(text)
    if found is None:
        return ""
    who = found[1].casefold()
    owned = " ".join(terms(found[2] or "")) if who in {"my", "our"} else ""
    return f"my {owned}" if owned else "i" if who in {"we", "i", "my", "our"} else who
