"""One vocabulary of relations: what models call differently is folded into one name, and what they called it is kept beside it.

A name that is not here is allowed as it is. Folding happens before anything is decided, so that "EMPLOYED_BY Google" and
"WORKS_AT Google" are seen to be the same, whichever model said which.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from memfold.memory.facts import FoundRelation

_CALLED: dict[str, str] = {
    "WORKS_AT": "EMPLOYED_BY EMPLOYED_AT IS_EMPLOYED_BY EMPLOYEE_OF WORKS_FOR WORKING_AT WORKING_FOR WORK_AT WORK_FOR"
    " HAS_JOB_AT HAS_EMPLOYER JOINED_COMPANY WORKS_IN_COMPANY",
    "LIVES_IN": "RESIDES_IN LIVING_IN LIVE_IN LIVES_AT RESIDENT_OF LOCATED_IN BASED_IN IS_BASED_IN MOVED_TO RELOCATED_TO HOME_IS",
    "COMES_FROM": "IS_FROM FROM ORIGINATES_FROM ORIGINALLY_FROM NATIVE_OF HAS_HOMETOWN HOMETOWN",
    "BORN_IN": "WAS_BORN_IN BIRTHPLACE HAS_BIRTHPLACE",
    "LIKES": "LIKE ENJOYS ENJOY IS_FOND_OF FOND_OF IS_INTERESTED_IN INTERESTED_IN FAN_OF IS_FAN_OF",
    "LOVES": "LOVE ADORES ADORE IS_PASSIONATE_ABOUT PASSIONATE_ABOUT",
    "PREFERS": "PREFER HAS_PREFERENCE HAS_PREFERENCE_FOR FAVORS FAVOURS",
    "DISLIKES": "DISLIKE DOES_NOT_LIKE DOESNT_LIKE DONT_LIKE NOT_FOND_OF",
    "HATES": "HATE DETESTS LOATHES CANNOT_STAND",
    "MET": "HAS_MET MET_WITH MEETS ENCOUNTERED",
    "KNOWS": "KNOW IS_ACQUAINTED_WITH ACQUAINTED_WITH",
    "FRIEND_OF": "IS_FRIEND_OF FRIENDS_WITH IS_FRIENDS_WITH HAS_FRIEND BEST_FRIEND_OF HAS_BEST_FRIEND",
    "MARRIED_TO": "IS_MARRIED_TO HAS_SPOUSE HAS_WIFE HAS_HUSBAND SPOUSE_OF WIFE_OF HUSBAND_OF",
    "HAS_PARTNER": "PARTNER_OF HAS_GIRLFRIEND HAS_BOYFRIEND DATES IS_DATING ENGAGED_TO GIRLFRIEND_OF BOYFRIEND_OF",
    "HAS_COLLEAGUE": "COLLEAGUE_OF COWORKER_OF HAS_COWORKER TEAMMATE_OF",
    "HAS_NEIGHBOUR": "HAS_NEIGHBOR NEIGHBOR_OF NEIGHBOUR_OF",
    "HAS_MANAGER": "HAS_BOSS REPORTS_TO MANAGED_BY HAS_SUPERVISOR",
    "HAS_PET": "OWNS_PET HAS_DOG HAS_CAT PET_OWNER_OF",
    "HAS_NAME": "IS_CALLED NAMED IS_NAMED CALLED NAME_IS",
    "HAS_PROFESSION": "WORKS_AS IS_A_PROFESSION HAS_JOB HAS_OCCUPATION OCCUPATION HAS_ROLE JOB_TITLE HAS_JOB_TITLE",
    "STUDIES": "STUDY STUDYING MAJORS_IN IS_STUDYING LEARNS LEARN LEARNING IS_LEARNING",
    "STUDIES_AT": "STUDENT_AT ATTENDS_SCHOOL ENROLLED_AT STUDYING_AT",
    "ALLERGIC_TO": "IS_ALLERGIC_TO HAS_ALLERGY HAS_ALLERGY_TO",
    "FOLLOWS_DIET": "HAS_DIET IS_ON_DIET EATS_DIET",
    "HAS_CONDITION": "SUFFERS_FROM DIAGNOSED_WITH HAS_ILLNESS HAS_DISEASE HAS_MEDICAL_CONDITION",
    "SPEAKS": "SPEAKS_LANGUAGE SPEAK FLUENT_IN",
    "PLAYS": "PLAYS_INSTRUMENT PLAY PLAYS_SPORT",
    "EATS": "EAT",
    "DRINKS": "DRINK",
    "USES": "USE",
    "DRIVES": "DRIVE DRIVES_CAR",
    "OWNS": "OWN OWNER_OF POSSESSES",
    "WANTS": "WANT DESIRES WISHES_FOR",
    "NEEDS": "NEED REQUIRES",
    "PLANS": "PLAN PLANNING IS_PLANNING INTENDS PLANS_TO",
    "PLANS_TO_VISIT": "PLANS_TRIP_TO PLANS_TO_TRAVEL_TO WILL_VISIT GOING_TO_VISIT TRAVELING_TO",
    "PLANS_TO_MOVE_TO": "WILL_MOVE_TO MOVING_TO",
}
_TURNED: dict[str, str] = {
    "WORKS_AT": "EMPLOYS EMPLOYER_OF HAS_EMPLOYEE",
    "HAS_SISTER": "SISTER_OF IS_SISTER_OF",
    "HAS_BROTHER": "BROTHER_OF IS_BROTHER_OF",
    "HAS_MOTHER": "MOTHER_OF IS_MOTHER_OF",
    "HAS_FATHER": "FATHER_OF IS_FATHER_OF",
    "HAS_DAUGHTER": "DAUGHTER_OF IS_DAUGHTER_OF",
    "HAS_SON": "SON_OF IS_SON_OF",
    "HAS_MANAGER": "MANAGER_OF BOSS_OF IS_BOSS_OF",
    "HAS_PET": "PET_OF IS_PET_OF",
    "HAS_DOCTOR": "DOCTOR_OF",
    "OWNS": "OWNED_BY BELONGS_TO",
}
"""Said the other way round: source and target change places."""
_OVER: dict[str, str] = {
    "WORKS_AT": "FORMERLY_WORKED_AT USED_TO_WORK_AT NO_LONGER_WORKS_AT LEFT_JOB_AT LEFT_COMPANY RESIGNED_FROM QUIT_JOB_AT",
    "LIVES_IN": "USED_TO_LIVE_IN FORMERLY_LIVED_IN NO_LONGER_LIVES_IN MOVED_FROM MOVED_AWAY_FROM",
    "LIKES": "USED_TO_LIKE NO_LONGER_LIKES STOPPED_LIKING",
    "PREFERS": "USED_TO_PREFER NO_LONGER_PREFERS",
    "DRINKS": "USED_TO_DRINK NO_LONGER_DRINKS STOPPED_DRINKING",
    "EATS": "USED_TO_EAT NO_LONGER_EATS STOPPED_EATING",
    "MARRIED_TO": "DIVORCED DIVORCED_FROM WAS_MARRIED_TO SEPARATED_FROM",
    "STUDIES_AT": "GRADUATED_FROM NO_LONGER_STUDIES_AT",
}
"""Said to be over: the relation ends. A plain past ("WORKED_AT") stays a name of its own: it may never have been known to hold."""
_ROLES = {
    "HAS_MOTHER": "mother",
    "HAS_FATHER": "father",
    "HAS_SISTER": "sister",
    "HAS_BROTHER": "brother",
    "HAS_DAUGHTER": "daughter",
    "HAS_SON": "son",
    "MARRIED_TO": "partner",
    "HAS_PARTNER": "partner",
    "HAS_MANAGER": "boss",
    "HAS_DOCTOR": "doctor",
}
"""Relations that say by themselves who of a name is meant."""


def _by_name(table: dict[str, str]) -> dict[str, str]:
    return {name: canonical for canonical, names in table.items() for name in names.split()}


_SAME, _INVERSE, _ENDED = _by_name(_CALLED), _by_name(_TURNED), _by_name(_OVER)


def canonical(found: FoundRelation) -> FoundRelation:
    """The relation in memfold's vocabulary; `said_as` is what it was called where that is another name."""
    folded = _folded(found)
    role = _ROLES.get(folded.relationship, "")
    return replace(folded, target_which=role) if role and not folded.target_which else folded


def _folded(found: FoundRelation) -> FoundRelation:
    name = found.relationship
    if name in _SAME:
        return replace(found, relationship=_SAME[name], said_as=name)
    if name in _ENDED:
        return replace(found, relationship=_ENDED[name], said_as=name, ends=True)
    if name in _INVERSE:
        return FoundRelation(
            source=found.target,
            relationship=_INVERSE[name],
            target=found.source,
            source_type=found.target_type,
            target_type=found.source_type,
            confidence=found.confidence,
            ends=found.ends,
            source_which=found.target_which,
            target_which=found.source_which,
            at=found.at,
            said_as=name,
        )
    return found


def synonyms() -> Iterator[tuple[str, str]]:
    """Every (name as it may be said, name it is folded into)."""
    yield from sorted({**_SAME, **_INVERSE, **_ENDED}.items())
