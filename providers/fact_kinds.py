"""Which of the seven kinds a fact is of, by the relations that were found in it."""

from __future__ import annotations

from collections.abc import Sequence

from memfold.memory.facts import FoundRelation

KIND_OF = {
    **dict.fromkeys(("ALLERGIC_TO", "FOLLOWS_DIET", "HAS_CONDITION", "HAS_DOCTOR"), "health"),
    **dict.fromkeys(("PLANS", "PLANS_TO_VISIT", "PLANS_TO_MOVE_TO"), "plans"),
    **dict.fromkeys(("WORKS_AT", "HAS_PROFESSION", "STUDIES", "STUDIES_AT"), "professional"),
    **dict.fromkeys(("LIKES", "LOVES", "PREFERS", "DISLIKES", "HATES", "WANTS", "NEEDS"), "preferences"),
    **dict.fromkeys(("HAS_NAME", "HAS_NICKNAME", "LIVES_IN", "COMES_FROM", "BORN_IN"), "personal_details"),
    **dict.fromkeys(("GREW_UP_IN", "MARRIED_TO", "FRIEND_OF", "MET", "KNOWS"), "personal_details"),
    **dict.fromkeys(
        ("EATS", "DRINKS", "PLAYS", "SPEAKS", "USES", "DRIVES", "OWNS", "HAS"), "personal_details"
    ),
}


def kind_of(relations: Sequence[FoundRelation]) -> str:
    """The kind of the first relation, health before all others; "activities" for a taste for doing something."""
    kinds = [_kind(relation) for relation in relations]
    if "health" in kinds:
        return "health"
    return kinds[0] if kinds else "miscellaneous"


def _kind(relation: FoundRelation) -> str:
    name = relation.relationship
    if name.startswith("FAVORITE_"):
        return "preferences"
    kind = KIND_OF.get(name, "personal_details")
    return "activities" if kind == "preferences" and relation.target_type == "ACTIVITY" else kind
