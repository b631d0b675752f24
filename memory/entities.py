"""Which names mean one entity, and which entity a name means among those that a subject knows.

An entity's id is the key of its name; where two entities share a name, the later one has what tells it from the first behind a
"#": `maria` and `maria#dentist`. Ids stand in the relations themselves, so who is who is folded from the log like everything
else, and a merge or a split is nothing but relations that are retracted and asserted again.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple, TypeVar

from memfold.schemas.records import RelationChange

_ARTICLES = frozenset({"the", "a", "an"})
_COMPANY_FORMS = frozenset(
    {
        "inc",
        "incorporated",
        "corp",
        "corporation",
        "co",
        "ltd",
        "limited",
        "llc",
        "llp",
        "plc",
        "gmbh",
        "ag",
        "pty",
    }
)
"""Only forms that are hardly ever words of their own: "company" or "kg" would make "my company" and "my" one."""

_SAME_ROLE = {
    "mom": "mother",
    "mum": "mother",
    "mama": "mother",
    "dad": "father",
    "papa": "father",
    "spouse": "partner",
    "wife": "partner",
    "husband": "partner",
    "girlfriend": "partner",
    "boyfriend": "partner",
    "fiancé": "partner",
    "fiancée": "partner",
    "fiance": "partner",
    "manager": "boss",
    "supervisor": "boss",
    "physician": "doctor",
    "puppy": "dog",
    "kitten": "cat",
}
_ANYBODYS_ROLE = frozenset(
    {"friend", "buddy", "bestie", "colleague", "coworker", "teammate", "neighbor", "neighbour", "roommate"}
    | {"flatmate", "classmate"}
)
"""A sister or a dentist may be a friend as well; hardly anybody's sister is their dentist."""


@lru_cache(maxsize=50_000)
def entity_key(name: str) -> str:
    """The key under which names mean one entity: "Google", "google", "The Google" and "Google, Inc." have the same.

    NFKC, case-folded, blanks collapsed, leading articles and trailing company forms taken off; never down to nothing.
    """
    words = _folded(name).split()
    while len(words) > 1 and words[0] in _ARTICLES:
        del words[0]
    while len(words) > 1 and words[-1].replace(".", "").strip(",;") in _COMPANY_FORMS:
        del words[-1]
        words[-1] = words[-1].rstrip(",;") or words[-1]
    return " ".join(words)


@lru_cache(maxsize=50_000)
def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def entities_of(change: RelationChange) -> tuple[str, str]:
    """The ids of a relation's source and target; relations of the first version name entities by their key alone."""
    return (
        change.source_entity or entity_key(change.source),
        change.target_entity or entity_key(change.target),
    )


class End(NamedTuple):
    """One end of a relation: whose it is, what it was called there, and which of that name, if that was said."""

    field: str
    entity: str
    name: str
    which: str

    def goes_by(self, asked: str) -> bool:
        """Whether it was called exactly so, or has this role."""
        return _folded(self.name) == _folded(asked) or (
            bool(role_of(self.which)) and role_of(self.which) == role_of(asked)
        )


def ends_of_change(change: RelationChange) -> tuple[End, End]:
    source, target = entities_of(change)
    return (
        End("source_entity", source, change.source, change.source_which),
        End("target_entity", target, change.target, change.target_which),
    )


def role_of(which: str) -> str:
    """The role that tells two of a name apart, of what was said; empty for one that anybody may have beside another."""
    words: list[str] = re.findall(r"\w+", which.casefold())
    last = _SAME_ROLE.get(words[-1], words[-1]) if words else ""
    return "" if last in _ANYBODYS_ROLE else last


Key = TypeVar("Key")


def _counted(table: dict[str, dict[Key, int]], outer: str, inner: Key, step: int) -> None:
    """One more or one less; what is counted last stands last, and what is not there any more is not kept."""
    counts = table.setdefault(outer, {})
    left = counts.pop(inner, 0) + step
    if left > 0:
        counts[inner] = left
    elif not counts:
        del table[outer]


class Entities:
    """The entities that the relations of one subject name, kept current relation by relation."""

    def __init__(self) -> None:
        self._named: dict[str, dict[str, int]] = {}
        """By key of a name: the ids that it was said of, the latest last, and how often."""
        self._called: dict[str, dict[tuple[str, str], int]] = {}
        """By id: the names, case-folded, and roles that it goes by."""

    def put(self, change: RelationChange) -> None:
        for end in ends_of_change(change):
            self._count(end, 1)

    def drop(self, change: RelationChange) -> None:
        for end in ends_of_change(change):
            self._count(end, -1)

    def _count(self, end: End, step: int) -> None:
        _counted(self._named, entity_key(end.name), end.entity, step)
        _counted(self._called, end.entity, (_folded(end.name), role_of(end.which)), step)

    def resolve(self, name: str, which: str = "") -> str:
        """The id of the entity that is meant: one of those that go by the name, or a new one.

        With a role ("sister"): the one that has it, else one of which no other role is known. Without: the one that was called
        exactly so, the latest first.
        """
        key = entity_key(name)
        known = list(reversed(self._named.get(key, {})))
        role = role_of(which)
        if not role:
            exact = [entity for entity in known if any(n == _folded(name) for n, _ in self._called[entity])]
            return (exact or known or [key])[0]
        same = [entity for entity in known if role in self._roles(entity)]
        open_to_it = [entity for entity in known if not self._roles(entity)]
        return (same or open_to_it or [f"{key}#{role}" if known else key])[0]

    def find(self, asked: str) -> list[str]:
        """The ids that a caller may mean by an id, or by a name."""
        return [asked] if asked in self._called else list(self._named.get(entity_key(asked), {}))

    def own_id(self, entity: str, name: str) -> str:
        """An id for what goes out of an entity under a name or a role: the key of the name, where that is free."""
        key, roles = entity_key(name), {role for _, role in self._called[entity]}
        taken = key == entity or key in self._called or role_of(name) in roles
        return f"{entity}#{_folded(name)}" if taken else key

    def names(self, entity: str) -> list[str]:
        """What an entity is called, case-folded, and its roles."""
        called = self._called.get(entity, {})
        return list(
            dict.fromkeys([*(name for name, _ in called), *filter(None, (role for _, role in called))])
        )

    def _roles(self, entity: str) -> set[str]:
        return {role for _, role in self._called[entity] if role}
