"""Cuts what a command asks about into a bounded number of calls, each of a size that a model can hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

SHARE = 4
"""What is long has a quarter of its things, and of its characters, in one call instead of the usual number."""
MOST_PIECES = 12
"""What follows: at most four pieces are full by their number, seven by their length, and one is left over."""


def pieces(things: Sequence[T], sizes: Sequence[int], at_once: int, characters: int) -> Iterator[list[T]]:
    """Pieces of `at_once` things and `characters`, in order, and never more than `MOST_PIECES`; no thing is cut.

    A thing of size 0 only accompanies the others: it is not counted, and stays with what came before it.
    """
    most = max(at_once, math.ceil(sum(size > 0 for size in sizes) / SHARE))
    longest = max(characters, math.ceil(sum(sizes) / SHARE))
    piece: list[T] = []
    count = length = 0
    for thing, size in zip(things, sizes, strict=True):
        if size and count and (count == most or length + size > longest):
            yield piece
            piece, count, length = [], 0, 0
        piece.append(thing)
        count, length = count + (size > 0), length + size
    if count:
        yield piece
