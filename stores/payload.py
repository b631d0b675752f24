"""A row as the flat fields that every store can hold beside a vector, and back.

There are no nulls: what a row has not is left out, and the current version's `valid_to` is FOREVER, so that "current" and
"current at a moment" are comparisons of numbers in every store. Times are microseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import asdict
from numpy.typing import NDArray

from memfold.memory.errors import ShardDamaged
from memfold.projections.vector_rows import Row

FOREVER = 2**53 - 1
"""The largest whole number that a store which only knows floats keeps exactly; as a time it is in the year 2255."""


def payload_of(row: Row) -> dict[str, str | int | bool]:
    """Every field of the row but its vector."""
    found = {name: value for name, value in asdict(row).items() if value is not None and name != "vector"}
    return found if row.valid_to is not None else {**found, "valid_to": FOREVER}


def row_of(payload: Mapping[str, Any]) -> Row:
    """The row of a payload; whole numbers may have come back as floats. Raises ShardDamaged for one that memfold did not write."""
    found: dict[str, Any] = {**dict.fromkeys(Row.__struct_fields__), **payload}
    if int(payload.get("valid_to") or 0) == FOREVER:
        found["valid_to"] = None
    try:
        return msgspec.convert(found, Row, strict=False)
    except msgspec.ValidationError as wrong:
        raise ShardDamaged(
            f"the store holds something that is no memory ({wrong}): another program writes to the same collection. "
            "Remove the mirror and add it with a collection of its own"
        ) from wrong


def values_of(row: Row) -> NDArray[np.float32]:
    """Its vector, shape (dimensions,)."""
    return np.frombuffer(row.vector or b"", "<f2").astype(np.float32)
