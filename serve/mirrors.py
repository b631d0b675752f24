"""The mirrors of a home: which there are, and where each has its book.

<home>/mirrors/<name>/store.json    provider and config; readable by its owner only, for it may hold a key
<home>/mirrors/<name>/made          there once the store's collection was made by this mirror
<home>/mirrors/<name>/p0003         the book of partition 3
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from memfold.infra.home import write_private
from memfold.memory.errors import InvalidInput, ShardDamaged
from memfold.projections.embedded_by import EmbeddedBy
from memfold.stores.adapters import checked_settings, projection_of

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Declared(Struct, frozen=True):
    """A mirror as its user declared it. The config is the store's, checked."""

    name: str
    provider: str
    config: dict[str, Any] = {}

    @property
    def projection(self) -> Literal["vector", "graph"]:
        """Which one it mirrors."""
        return projection_of(self.provider)

    @property
    def place(self) -> str:
        """The collection, or the endpoint."""
        return str(self.config.get("collection_name") or self.config.get("update_endpoint"))

    @property
    def role(self) -> str:
        """Of the process that keeps it current."""
        return f"mirror-{self.name}"


class Mirrors:
    """Holds no state: any process may have one."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "mirrors"

    def all(self) -> list[Declared]:
        """By name."""
        names = sorted(path.parent.name for path in self._folder.glob("*/store.json"))
        return [self.get(name) for name in names]

    def get(self, name: str) -> Declared:
        """Raises InvalidInput, ShardDamaged."""
        path = self.path(name) / "store.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=Declared)
        except FileNotFoundError:
            known = ", ".join(one.name for one in self.all()) or "none"
            raise InvalidInput(
                f"there is no mirror {name!r} (there are: {known}); `memfold projection add` makes one"
            ) from None
        except msgspec.MsgspecError as wrong:
            raise ShardDamaged(
                f"{path} cannot be read ({wrong}); remove the folder and add the mirror again"
            ) from wrong

    def declare(self, name: str, provider: str, config: dict[str, Any]) -> Declared:
        """A new mirror, or the same one again. Raises InvalidInput, ExtraMissing; then nothing is declared."""
        own = {"collection_name": f"memfold_{name}"} if projection_of(provider) == "vector" else {}
        checked = checked_settings(provider, own | config)
        wanted = Declared(name, provider, checked.model_dump(mode="json", exclude_unset=True))
        path = self.path(name) / "store.json"
        if path.exists():
            if self.get(name) != wanted:
                raise InvalidInput(
                    f"there is a mirror {name!r} already, of another store; remove it first, or choose another name"
                )
            return wanted
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, msgspec.json.encode(wanted))
        return wanted

    def made_by(self, name: str) -> EmbeddedBy | None:
        """Whose vectors a mirror has; None before its collection was made. Raises InvalidInput."""
        made = self.path(name) / "made"
        return msgspec.json.decode(made.read_bytes(), type=EmbeddedBy) if made.exists() else None

    def make(self, name: str, by: EmbeddedBy) -> None:
        """The collection is there now."""
        write_private(self.path(name) / "made", msgspec.json.encode(by))

    def forget(self, name: str) -> None:
        """Remove the declaration and the books."""
        shutil.rmtree(self.path(name))

    def path(self, name: str) -> Path:
        """Raises InvalidInput for what is no mirror's name."""
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                f"{name!r} is no name for a mirror: up to 40 of a-z, 0-9 and _, a letter first"
            )
        return self._folder / name

    def partitions(self, name: str) -> list[int]:
        """Of which the mirror has a book."""
        return sorted(int(path.name[1:]) for path in self.path(name).glob("p[0-9]*") if path.is_dir())

    def shard_path(self, name: str, partition: int) -> Path:
        return self.path(name) / f"p{partition:04d}"
