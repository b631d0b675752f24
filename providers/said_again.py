"""Whether all that a sentence says is in a memory already, word for word, whatever is said around it.

"As I said, I only ever watch films with subtitles" beside "I only watch films with subtitles, never dubbed".
"""

from __future__ import annotations

import re

from memfold.memory.texts import plain_words
from memfold.providers.vocabulary import wordset

LEAD = re.compile(
    r"^(?:(?:as (?:i said|always|usual|ever|mentioned)|like i (?:said|told you)|(?:just |quick )?(?:a )?reminder(?: that|:)?|remember|again"
    r"|did i (?:say|mention|tell you)(?: that)?|you know(?: that)?|i(?:['’]ve)? (?:already )?(?:told you|said|mentioned)(?: that)?"
    r"|so|yeah|yes|yep|no way|no|ah|oh|ok|okay|well|but|and|still|right|hey|hi|hm+|ugh|look|listen|sure|true|of course|anyway|honestly)"
    r"\b[,!.:; ]*)+",
    re.IGNORECASE,
)
"""What people begin with when they say a thing again."""
TAIL = re.compile(
    r"[,; ]+(?:thanks|thank you|please|you know|remember|right|ok|okay|by the way|btw|as i said|as always|still|though|too)\W*$",
    re.IGNORECASE,
)
PARTS = re.compile(r"[,;:.!?]+\s+|\s+[–—-]\s+")
LIGHT = wordset(
    "a an the of that this it in on at for my our am is are be been has have got do does ever just really still one s"
)
"""Words that make no difference; the past, "not" and "no" do."""
SPELLED = {"favourite": "favorite", "colour": "color", "flavour": "flavor", "neighbour": "neighbor"}
OF = re.compile(r"\bthe (\w+) of ((?:[A-Z]\w+ ?)+)")


def says_no_more(text: str, memory: str) -> bool:
    """True if the words of the sentence, in their order, are those of the memory or of whole parts of it that it begins with."""
    new = _words(TAIL.sub("", LEAD.sub("", text)))
    if len(new) < 2:
        return False
    parts = [_words(part) for part in PARTS.split(LEAD.sub("", memory))]
    return any(new == [word for part in parts[:count] for word in part] for count in range(1, len(parts) + 1))


def _words(text: str) -> list[str]:
    owned = OF.sub(lambda found: f"{found[2].strip()}'s {found[1]}", text)
    return [
        SPELLED.get(word, word) for word in (plain_words(owned) if owned.strip() else []) if word not in LIGHT
    ]
