"""How a schema registry is reached: MEMFOLD_REGISTRY_URL, MEMFOLD_REGISTRY_USERNAME and so on."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from memfold.streams.schema_registry import RegistryAccess, SchemaRegistry


class RegistrySettings(BaseSettings):
    """No part of `Settings`: only who reads or registers others' schemas needs it."""

    model_config = SettingsConfigDict(env_prefix="MEMFOLD_REGISTRY_", frozen=True)

    url: str | None = None
    username: str | None = None
    password: SecretStr | None = None
    token: SecretStr | None = None
    ssl_ca_location: str | None = None
    ssl_certificate_location: str | None = None
    ssl_key_location: str | None = None

    def registry(self, url: str | None) -> SchemaRegistry | None:
        """At `url`, or where it is configured; None where no registry is named. Raises as `RegistryAccess.opened`."""
        named = url or self.url
        if named is None:
            return None
        settings: dict[str, Any] = self.model_dump() | {"url": named}
        access = RegistryAccess(**settings)
        return SchemaRegistry(access.opened(), named)
