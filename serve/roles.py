"""The roles of a worker, by the names that its command takes."""

from __future__ import annotations

from collections.abc import Sequence

from memfold.infra.groups import FOLLOWING
from memfold.memory.errors import InvalidInput

ROLES = (*FOLLOWING, "seal")


def checked_roles(roles: Sequence[str]) -> tuple[str, ...]:
    """Raises InvalidInput for a role that there is not."""
    unknown = [role for role in roles if role not in ROLES]
    if unknown:
        raise InvalidInput(f"there is no role {unknown[0]!r}; a worker runs {', '.join(ROLES)}")
    return tuple(role for role in ROLES if role in roles) or ROLES
