"""Words as a search counts them: small letters, without stop words, English stems (Snowball); other scripts as they are."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from threading import Lock

import Stemmer  # type: ignore[import-not-found]

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_AFTER = re.compile(r"['’].*")
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
    found = _WORD.findall((text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold())
    if "'" not in text and "’" not in text:
        return found
    return [_AFTER.sub("", word) for word in found]


def terms(text: str) -> list[str]:
    """The stems of the words that say something, in order and with repetitions."""
    return [stem for word in words(text) if (stem := _term(word))]


@lru_cache(maxsize=200_000)
def _term(word: str) -> str:
    """The stem, or nothing."""
    if word in _STOP or len(word) < 2:
        return ""
    # One stemmer is not for two threads at once; a word that was seen before does not come here.
    with _stemming:
        stem: str = _stemmer.stemWord(word)
        return stem
