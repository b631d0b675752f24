"""What every store is configured with, and what is checked of it in the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import from_json

from memfold.memory.errors import InvalidInput, ShardDamaged

Folder = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
"""Absolute: the process that keeps a mirror runs elsewhere than the one that declared it."""

Options = Annotated[
    dict[str, str], BeforeValidator(lambda given: from_json(given) if isinstance(given, str) else given)
]
"""JSON where a command line gives it."""


class StoreSettings(BaseModel):
    """Fields that all stores have. The names are those of Mem0's configuration where it has them."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    collection_name: str = Field(
        min_length=1,
        max_length=63,
        pattern=r"^[A-Za-z][A-Za-z0-9_]*$",
        description="The collection, table, class or index; the mirror's own, nobody else may write to it.",
    )
    embedding_model_dims: int | None = Field(
        default=None, description="If given, has to be what the embedder gives."
    )


def check_there(is_there: bool, wanted: bool, where: str) -> None:
    """A new mirror begins with a collection that is not there yet; one that goes on with its own. Raises InvalidInput, ShardDamaged."""
    if is_there and not wanted:
        raise InvalidInput(
            f"{where} is there already, and a mirror needs one of its own: choose another collection_name, or drop that one"
        )
    if wanted and not is_there:
        raise ShardDamaged(
            f"{where} is gone, but the mirror's book says that it was filled; `memfold projection remove` the mirror, then add it again"
        )
