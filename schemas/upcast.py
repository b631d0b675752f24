"""Old bodies made new: pure functions from one version's fields to the next one's.

To add version n+1 of a schema: write the `.avsc`, then register the step from n here. Steps are never edited once released,
because logs of every version replay forever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Fields = dict[str, Any]


def _with_defaults(fields: Fields) -> Fields:
    """Only fields with defaults were added, which the type of the body fills in."""
    return fields


_STEPS: dict[tuple[str, int], Callable[[Fields], Fields]] = {
    ("memories_decided", 1): _with_defaults,
    ("memories_decided", 2): _with_defaults,
}


def upcast(name: str, version: int, newest: int, fields: Fields) -> Fields:
    """The fields of a body of `version`, brought to `newest`. Raises KeyError where a step is missing."""
    for step in range(version, newest):
        fields = _STEPS[name, step](fields)
    return fields


def only_defaults(name: str, version: int, newest: int) -> bool:
    """Whether a body of `version` becomes one of `newest` by defaults alone."""
    return all(_STEPS[name, step] is _with_defaults for step in range(version, newest))
