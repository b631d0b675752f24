"""Words as a search counts them: small letters, without stop words, English stems (Snowball); other scripts as they are."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from threading import Lock

import Stemmer  # type: ignore[import-not-found]

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_STOP = frozenset(
    re.findall(
        r"\w+",
        """
        a an the and or but if then of to in on at by for with from as is are was were be been being am do does did done have has
        had having i you he she it we they me him her us them my your his its our their this that these those what which who whom
        when where why how would could should will shall can may might must not no so too very just about into over after before
        than there here also don doesn didn isn aren wasn weren won ve ll re
        """,
    )
)
_stemmer, _stemming = Stemmer.Stemmer("english"), Lock()


def words(text: str) -> list[str]:
    """The words in order, in small letters; what follows an apostrophe ("Maria's", "don't") is left out."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return [word.replace("’", "'").partition("'")[0] for word in _WORD.findall(folded)]


def terms(text: str) -> list[str]:
    """The stems of the words that say something, in order and with repetitions."""
    return [_stem(word) for word in words(text) if word not in _STOP and len(word) > 1]


@lru_cache(maxsize=200_000)
def _stem(word: str) -> str:
    # One stemmer is not for two threads at once; a word that was seen before does not come here.
    with _stemming:
        stem: str = _stemmer.stemWord(word)
        return stem
