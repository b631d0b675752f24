"""What is held of subjects in memory, by when it was last used, and how much room all of it takes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container, Iterator
from itertools import islice
from typing import Generic, TypeVar

Value = TypeVar("Value")
Key = tuple[str, str]
"""Tenant and subject."""


class Recent(Generic[Value]):
    """Values that change while they are held: whoever changes one has it counted again."""

    def __init__(self, size: Callable[[Value], int]) -> None:
        self._size = size
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._sizes: dict[Key, int] = {}
        self.held = 0
        """What all of them count for."""

    def __contains__(self, key: Key) -> bool:
        return key in self._values

    def of_tenant(self, tenant: str) -> Iterator[tuple[Key, Value]]:
        return ((key, value) for key, value in list(self._values.items()) if key[0] == tenant)

    def get(self, key: Key) -> Value | None:
        return self._values.get(key)

    def touch(self, key: Key) -> None:
        """It was used just now."""
        self._values.move_to_end(key)

    def put(self, key: Key, value: Value) -> None:
        self._values[key] = value
        self.count(key)

    def pop(self, key: Key) -> Value:
        self.held -= self._sizes.pop(key)
        return self._values.pop(key)

    def count(self, key: Key) -> None:
        """It may have changed."""
        size = self._size(self._values[key])
        self.held += size - self._sizes.get(key, 0)
        self._sizes[key] = size

    def over(self, limit: int, spared: Container[Key]) -> list[Key]:
        """The least recently used that are not spared, until they make up for what is held over the limit; never the newest."""
        found: list[Key] = []
        over = self.held - limit
        for key in islice(self._values, max(0, len(self._values) - 1)):
            if over <= 0:
                break
            if key not in spared:
                found.append(key)
                over -= self._sizes[key]
        return found
