"""Whose memories a filter is about: what of a scope holds for every memory that it lets pass.

An id that stands only inside OR or NOT is no scope: "alex's, or anything about tea" would read everybody's memories.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from memfold.memory.errors import InvalidInput
from memfold.memory.filters import IDS, Condition, Filter, conjuncts, parsed, tests
from memfold.schemas.records import Scope

_OWNERS = IDS[:3]


class Reach(Struct, frozen=True):
    """A filter with what it says of ids and relations everywhere: None where it says nothing."""

    tree: Filter
    users: tuple[str, ...] | None
    agents: tuple[str, ...] | None
    runs: tuple[str, ...] | None
    relationships: tuple[str, ...] | None

    def scope(self) -> Scope:
        """The ids that every match has, where there is one for all."""
        return Scope(
            *(ids[0] if ids and len(ids) == 1 else None for ids in (self.users, self.agents, self.runs))
        )

    def only_scope(self) -> bool:
        """Whether the filter says no more than the scope does."""
        return all(
            isinstance(part, Condition) and part.field in _OWNERS and part.operator == "eq"
            for part in conjuncts(self.tree)
        )


def checked_reach(filters: object, ids: Mapping[str, object]) -> Reach:
    """The filters and the ids of the arguments together. Raises InvalidInput, InvalidType."""
    tree = parsed(filters, ids)
    reach = Reach(tree, *(_every(tree, name) for name in (*_OWNERS, "relationship")))
    if reach.users is None and reach.agents is None and reach.runs is None:
        somewhere = [test.field for test in tests(tree) if test.field in _OWNERS]
        if somewhere:
            raise InvalidInput(
                f"{somewhere[0]} does not hold for every memory that these filters let pass, so it is no scope; put user_id, "
                "agent_id or run_id beside the OR or NOT, with one id or a list of them"
            )
        raise InvalidInput("whose memories? Pass at least one of user_id, agent_id and run_id")
    return reach


def _every(tree: Filter, field: str) -> tuple[str, ...] | None:
    """The values that a field may have, if the filter says so for every match. Raises InvalidInput when none is left."""
    allowed: list[str] | None = None
    for part in conjuncts(tree):
        if isinstance(part, Condition) and part.field == field and part.operator in ("eq", "in"):
            values = part.value if part.operator == "in" else (part.value,)
            mine = [value for value in dict.fromkeys(values) if isinstance(value, str)]
            allowed = (
                mine if allowed is None or field == "relationship" else [v for v in allowed if v in mine]
            )
    if allowed is not None and not allowed:
        raise InvalidInput(
            f"no {field} can pass: the arguments and the filters, or two filters, exclude each other"
        )
    return None if allowed is None else tuple(allowed)
