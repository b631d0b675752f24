"""A schema registry that speaks Confluent's API: which schema has an id, and schemas of our own for those who look there."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import fastavro
import httpx2
from fastavro.schema import SchemaParseException, UnknownType
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from memfold.memory.errors import (
    InvalidInput,
    RegistryExtraMissing,
    RegistryRefused,
    RegistryUnreachable,
)

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

R = TypeVar("R")

_SECONDS = 10
_UNKNOWN = 404
_STRANGER = (401, 403)
_EMPTY_OBJECT = ('"{}"', '"\\u007b}"')
"""A default that is the text {}, and the same in JSON otherwise spelled: Apicurio takes the quotes off the first, and then sees no Avro."""


class RegistryAccess(BaseModel):
    """What is shown to a registry: a name and a password, a token, or a certificate."""

    model_config = ConfigDict(frozen=True)

    username: str | None = None
    password: SecretStr | None = Field(default=None, description="With username: HTTP basic authentication.")
    token: SecretStr | None = Field(default=None, description="A bearer token, as it is.")
    ssl_ca_location: str | None = None
    ssl_certificate_location: str | None = None
    ssl_key_location: str | None = None

    def opened(self, url: str) -> SchemaRegistryClient:
        """The registry at `url`; nothing is asked yet. Raises RegistryExtraMissing, InvalidInput."""
        try:
            from confluent_kafka.schema_registry import SchemaRegistryClient
        except ImportError as missing:
            raise RegistryExtraMissing(
                f'a schema registry needs {missing.name}, which is not installed: pip install "memfold[registry]"'
            ) from None
        if "@" in urlsplit(url).netloc:
            # It would stand in shell histories, process lists and error messages.
            raise InvalidInput(
                "the registry's URL holds credentials; set MEMFOLD_REGISTRY_USERNAME and MEMFOLD_REGISTRY_PASSWORD instead"
            )
        try:
            return SchemaRegistryClient({"url": url, "timeout": _SECONDS} | self._credentials())
        except (ValueError, OSError) as wrong:
            raise InvalidInput(f"no registry can be reached as {url} with what is set: {wrong}") from None

    def _credentials(self) -> dict[str, Any]:
        given = {
            "ssl.ca.location": self.ssl_ca_location,
            "ssl.certificate.location": self.ssl_certificate_location,
            "ssl.key.location": self.ssl_key_location,
        }
        if self.username is not None:
            password = self.password.get_secret_value() if self.password else ""
            given["basic.auth.user.info"] = f"{self.username}:{password}"
        if self.token is not None:
            # Confluent's Cloud wants to know which cluster; nobody else looks at these two.
            given |= {
                "bearer.auth.credentials.source": "STATIC_TOKEN",
                "bearer.auth.token": self.token.get_secret_value(),
            }
            given |= {"bearer.auth.logical.cluster": "-", "bearer.auth.identity.pool.id": "-"}
        return {name: value for name, value in given.items() if value is not None}


class SchemaRegistry:
    """Asked once for each id: what an id means never changes."""

    def __init__(self, client: SchemaRegistryClient, url: str) -> None:
        self._client, self._url = client, url
        self._parsed: dict[int, Any] = {}

    def schema(self, schema_id: int) -> Any:
        """As fastavro reads with it. Raises InvalidInput where it is none of Avro, RegistryUnreachable, RegistryRefused."""
        if schema_id not in self._parsed:
            found = self._asked(lambda: self._client.get_schema(schema_id), f"has no schema {schema_id}")
            if found.schema_type not in (None, "AVRO"):
                raise InvalidInput(
                    f"schema {schema_id} at {self._url} is one of {found.schema_type}, not of Avro"
                )
            self._parsed[schema_id] = self._with_references(found, {})
        return self._parsed[schema_id]

    def _with_references(self, schema: Schema, named: dict[str, Any]) -> Any:
        for reference in schema.references or ():
            subject, version = reference.subject or "", reference.version or -1
            found = self._asked(
                partial(self._client.get_version, subject, version),
                f"has no version {version} of {subject}, which is referred to",
            )
            self._with_references(found.schema, named)
        try:
            return fastavro.parse_schema(json.loads(schema.schema_str or ""), named_schemas=named)
        except (ValueError, SchemaParseException, UnknownType) as wrong:
            raise InvalidInput(f"a schema at {self._url} cannot be read: {wrong}") from None

    def register(self, subject: str, text: str) -> int:
        """The id of an Avro schema under a subject; one that is there keeps its id. Raises RegistryUnreachable, RegistryRefused."""
        from confluent_kafka.schema_registry import Schema

        schema = Schema(text.replace(*_EMPTY_OBJECT), "AVRO")
        return int(self._asked(lambda: self._client.register_schema(subject, schema), f"has no {subject}"))

    def _asked(self, question: Callable[[], R], unknown: str) -> R:
        from confluent_kafka.schema_registry import SchemaRegistryError

        try:
            return question()
        except SchemaRegistryError as answer:
            status, said = answer.http_status_code, answer.error_message
            if status == _UNKNOWN:
                raise InvalidInput(f"the registry at {self._url} {unknown}: {said}") from None
            if status in _STRANGER:
                raise RegistryRefused(
                    f"the registry at {self._url} does not let this client in ({status}: {said}); set MEMFOLD_REGISTRY_USERNAME and "
                    "MEMFOLD_REGISTRY_PASSWORD, or MEMFOLD_REGISTRY_TOKEN"
                ) from None
            if status < 500 and status != 429:
                raise RegistryRefused(
                    f"the registry at {self._url} does not take it ({status}: {said})"
                ) from None
            raise RegistryUnreachable(
                f"the registry at {self._url} cannot answer ({status}: {said})"
            ) from None
        except (httpx2.TransportError, ValueError) as away:
            raise RegistryUnreachable(
                f"no registry answers at {self._url}: {away or type(away).__name__}"
            ) from None
