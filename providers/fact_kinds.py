"""Which of the seven kinds a fact is of, by the relations that were found in it, else by its words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from memfold.memory.facts import FoundRelation
from memfold.memory.wording import terms

KIND_OF = {
    **dict.fromkeys(("ALLERGIC_TO", "FOLLOWS_DIET", "HAS_CONDITION", "HAS_DOCTOR"), "health"),
    "PLAYS": "activities",
    **dict.fromkeys(("PLANS", "PLANS_TO_VISIT", "PLANS_TO_MOVE_TO"), "plans"),
    **dict.fromkeys(("WORKS_AT", "HAS_PROFESSION", "STUDIES", "STUDIES_AT"), "professional"),
    **dict.fromkeys(("HAS_MANAGER", "HAS_COLLEAGUE"), "professional"),
    **dict.fromkeys(("LIKES", "LOVES", "PREFERS", "DISLIKES", "HATES", "WANTS", "NEEDS"), "preferences"),
    **dict.fromkeys(("EATS", "DRINKS"), "preferences"),
    **dict.fromkeys(("HAS_NAME", "HAS_NICKNAME", "LIVES_IN", "COMES_FROM", "BORN_IN"), "personal_details"),
    **dict.fromkeys(("GREW_UP_IN", "MARRIED_TO", "FRIEND_OF", "MET", "KNOWS"), "personal_details"),
    **dict.fromkeys(("SPEAKS", "USES", "DRIVES", "OWNS", "HAS"), "personal_details"),
}


_WORDS = {
    "health": """
        doctor hospital clinic allergy allergic medicine medication pill tablet dose mg inhaler therapy therapist physiotherapy
        physio surgery pain diabetes asthma migraine pressure cholesterol pregnant sick illness disease diagnosed injury knee
        smoke smoking cigarette diet vegan vegetarian intolerant gluten lactose sleep insomnia seasick blood vaccine glasses
    """,
    "professional": """
        work job boss manager colleague office company client salary promotion career team meeting standup project degree thesis
        exam university college professor student study studying course class school teacher teach engineer report department
        supervisor internship interview bachelor master phd shift
    """,
    "preferences": """
        like love hate prefer favourite favorite enjoy dislike fan adore rather drink eat colour color taste
    """,
    "activities": """
        play run swim hike climb paint draw knit sew cook bake garden dance sing read watch listen collect travel visit trip
        concert gym yoga train ride ski surf fish photograph shop buy order subscription membership went saw hobby club class
        weekend
    """,
    "personal_details": """
        mother father mom mum dad sister brother daughter son wife husband partner child kid nephew niece cousin uncle aunt
        grandmother grandfather family friend neighbour neighbor born birthday name live house flat apartment home street city
        dog cat pet hamster rabbit parrot car bike phone computer laptop own rent speak language married divorced landlord vet
    """,
}
_STEMS = {kind: frozenset(terms(words)) for kind, words in _WORDS.items()}
_COMING = re.compile(
    r"\b(?:going to|will|'ll|’ll|planning|plan to|next (?:week|month|year|spring|summer|autumn|winter|\w+day)|tomorrow|tonight"
    r"|in (?:a|an|one|two|three|four|five|six|\d+) (?:day|week|month|year)s?|tickets|booked|appointment|flight|leaves? at)\b",
    re.IGNORECASE,
)
_TASTE = re.compile(
    r"\b(?:like|love|hate|prefer|enjoy|dislike|can't stand|favou?rite|fan of)\b", re.IGNORECASE
)


def kind_of(relations: Sequence[FoundRelation], text: str = "", speaker: str = "") -> str:
    """The kind of the first relation, health before all others; "activities" for a taste for doing something.

    What others do for a living is a detail of the life of the `speaker` who knows them; who that is must be told, else all is theirs.
    Without relations: what is coming is a plan, a taste a preference, else the kind that most of the words are of.
    """
    kinds = [_kind(relation, speaker or relation.source) for relation in relations]
    if "health" in kinds:
        return "health"
    return kinds[0] if kinds else _by_words(text)


def _by_words(text: str) -> str:
    said = set(terms(text))
    found = {kind: len(said & stems) for kind, stems in _STEMS.items()}
    if found["health"]:
        return "health"
    if _COMING.search(text):
        return "plans"
    if _TASTE.search(text):
        return "preferences"
    # The first of equals: the kinds stand from the narrowest to the widest.
    best = max(found, key=lambda kind: found[kind])
    return best if found[best] else "miscellaneous"


def _kind(relation: FoundRelation, speaker: str) -> str:
    name = relation.relationship
    if relation.source != speaker and KIND_OF.get(name) == "professional":
        return "personal_details"
    if name.startswith("FAVORITE_"):
        return "preferences"
    kind = KIND_OF.get(name, "personal_details")
    return "activities" if kind == "preferences" and relation.target_type == "ACTIVITY" else kind
