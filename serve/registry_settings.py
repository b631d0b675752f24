"""How a schema registry is reached: MEMFOLD_REGISTRY_URL, MEMFOLD_REGISTRY_USERNAME and so on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic_settings import BaseSettings, SettingsConfigDict

from memfold.streams.schema_registry import RegistryAccess, SchemaRegistry


class RegistrySettings(RegistryAccess, BaseSettings):
    """No part of `Settings`: only who reads or registers others' schemas needs it."""

    model_config = SettingsConfigDict(env_prefix="MEMFOLD_REGISTRY_", frozen=True)

    url: str | None = None

    @contextmanager
    def registry(self, url: str | None) -> Iterator[SchemaRegistry | None]:
        """At `url`, or where it is configured, until the block ends; None where no registry is named. Raises as `RegistryAccess.opened`."""
        named = url or self.url
        if named is None:
            yield None
            return
        with self.opened(named) as client:
            yield SchemaRegistry(client, named)
