"""Two entities made one, and one made two: relations are retracted and asserted again between other entities, nothing else."""

from __future__ import annotations

from collections.abc import Callable

from memfold.memory.draft import Draft
from memfold.memory.entities import End, Entities, ends_of_change
from memfold.memory.errors import InvalidInput
from memfold.schemas.records import MergeRequested, SplitRequested


def merge(command: MergeRequested, draft: Draft) -> None:
    """Every relation of one entity becomes one of the other; what it was called stays, so that a split can undo it.

    Raises InvalidInput where it is not clear who is meant; nothing is drafted then.
    """
    entity = _one(command.entity, draft.state.entities)
    into = _one(command.into, draft.state.entities)
    if entity == into:
        raise InvalidInput(f"{command.entity!r} and {command.into!r} are one entity already: {into}")
    _move(draft, entity, into, lambda end: True)


def split(command: SplitRequested, draft: Draft) -> None:
    """What goes by the name, or has the role, becomes an entity of its own. Raises InvalidInput as `merge`."""
    entities = draft.state.entities
    entity = _one(command.entity, entities)
    ends = [
        end for held in draft.state.holding(entity) for end in ends_of_change(held) if end.entity == entity
    ]
    going = [end for end in ends if end.goes_by(command.name)]
    if not going or len(going) == len(ends):
        raise InvalidInput(
            f"{entity} cannot be split by {command.name!r}; it goes by {', '.join(entities.names(entity))}, "
            "and one of these has to stay"
        )
    _move(draft, entity, entities.own_id(entity, command.name), lambda end: end.goes_by(command.name))


def _move(draft: Draft, entity: str, into: str, goes: Callable[[End], bool]) -> None:
    for held in draft.state.holding(entity):
        moved = {end.field: into for end in ends_of_change(held) if end.entity == entity and goes(end)}
        if moved:
            draft.move(held, moved)


def _one(asked: str, entities: Entities) -> str:
    found = entities.find(asked)
    if not found:
        raise InvalidInput(f"no relation that holds names {asked!r}; take a name or an id from `relations`")
    if len(found) > 1:
        raise InvalidInput(f"{asked!r} may be {' or '.join(found)}; name one of these ids")
    return found[0]
