"""What a test means, in Python: for stores that cannot be asked, and the definition that the others are held to."""

from __future__ import annotations

from operator import eq, ge, gt, le, lt

from memfold.projections.vector_rows import Row
from memfold.stores.payload import FOREVER
from memfold.stores.port import Test

_MEANS = {"eq": eq, "in": lambda value, wanted: value in wanted, "gt": gt, "gte": ge, "lt": lt, "lte": le}


def passes(test: Test, row: Row) -> bool:
    """Whether a row passes; one that has no such value does not."""
    value = getattr(row, test.field)
    if test.field == "valid_to" and value is None:
        value = FOREVER
    return value is not None and bool(_MEANS[test.operator](value, test.value))
