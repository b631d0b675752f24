"""The words by which a sentence says that something was wrong, has changed or is over."""

from __future__ import annotations

import re

from memfold.providers.vocabulary import wordset

CORRECTED = re.compile(
    r"\b(actually|correction|to correct|i meant|scratch that|my (?:mistake|bad)|typo|mistyped|misspoke|misspelt|misspelled"
    r"|misheard|misread|misremembered|mixed (?:\w+ ){0,3}up|autocorrect(?:ed)?|change of plans?|from now on"
    r"|(?:no|oh|hang on),? wait|^wait,? (?:no|i)"
    r"|oops|whoops|turns? out|(?:got|had) (?:that|it|this) wrong|(?:that|it|this)(?:['’]s| is| was) (?:wrong|not right|incorrect)"
    r"|should(?: ha|['’])ve said|make (?:that|it) (?=\d)|changed (?:my|our|her|his|their) minds?|on second thought"
    r"|let me correct|looked it up)\b"
    r"|^not \w+,|, not (?:the |a |an |my )?[\w'’-]+[.!]?$",
    re.IGNORECASE,
)
"""The speaker takes something back."""
CHANGED = re.compile(
    r"\b(now|these days|nowadays|lately|switched|changed|moved|replaced|postponed|rescheduled|became|traded|instead"
    r"|since (?:then|that|last)|by now|upgraded|promoted|grown|until further notice)\b",
    re.IGNORECASE,
)
"""Something has become something else."""
OVER = re.compile(
    r"\b(?:no longer|stopped|stop|quit|quitting|gave up|given up|gave away|cancel+ed|sold|sell|selling|traded in|traded|broke up|broke"
    r"|lost|losing|finished|dropped|got rid of|deleted|uninstalled|unsubscribed|divorced|separated|left|retired from|done with"
    r"|paid off|moved out of|ditched|resigned from|threw out|never again"
    r"|(?:not|never|\w+n['’]t)(?=.{2,60}\b(?:any ?(?:more|longer)|either)\b)|ha(?:s|ve)(?:n['’]t| not)(?=.{2,60}\bsince\b))\b"
    r"(?P<what>[^,.;!?]*?)(?=[,.;!?]|\bany ?(?:more|longer)\b|\bsince\b|$)",
    re.IGNORECASE,
)
"""Something is over; what, stands behind it."""
DONE = re.compile(
    r"\b(?:passed|completed|graduated from|handed in|submitted|returned|closed|ended|fired|failed|missed) (?P<what>[^,.;!?]*)",
    re.IGNORECASE,
)
"""As `OVER`, but one can do so to many a thing: only where the memory is about little else."""
GONE = re.compile(
    r"(?P<what>[^,.;!?]*?) (?:(?:are|is|got|have|has|was|were) (?:been )?(?:divorced|separated|over|cancelled|canceled|sold|closed|gone"
    r"|stolen|discontinued|called off)|broke up|split up|broke|died|closed|retired|expired|passed away|shut down|fell through|ran out)\b"
    r"|\b(?:not|n['’]t) (?P<plan>[^,.;!?]*) after all\b",
    re.IGNORECASE,
)
"""Something is over; what, stands before it."""
INSTEAD = re.compile(
    r"\b(?:instead of|rather than|replaced|switched from) (?:my |our |the |a |an )?(?P<what>[^,.;!?]*)",
    re.IGNORECASE,
)
ENDING = (OVER, GONE, INSTEAD)
NOT_THIS = re.compile(
    r"\bnot (?:the |a |an |my |at |in |on |by )?(?P<what>[\w'’.-]+(?: [\w'’.-]+)?)(?=[,.!;)]|$| (?:and|but|as)\b)"
    r"|^no,? (?:the |a |an |my )?(?P<else>[\w'’.-]+)(?=,)",
    re.IGNORECASE,
)
"""What is put aside by "X, not Y", "not Y, X"."""
POSSESSED = re.compile(
    r"\b(?:my|our|the) (?:[\w-]+ ){0,2}?([\w-]+?)(?:['’]s)?(?: name)? ?(?:is|are|was|will be|['’]s)\b",
    re.IGNORECASE,
)
"""What "my rent is …" is about."""
CUES = wordset(
    """
    actual correct meant scratch mistak typo mistyp autocorrect chang plan now day nowaday instead switch longer anymor any more
    stop quit gave give up cancel sold sell lose lost becam wrong oop wait turn out mind divorc separ left sinc late
    """
)
"""Stems that say that there is a change, not what of."""
LIGHT = wordset("do get got go goe use take make keep come still ever")
"""Stems of verbs that say little of what a sentence is about."""
