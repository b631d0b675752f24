"""An endpoint that is reached by the `openai` client: its address, its key, and what every request carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from openai import AsyncOpenAI, DefaultAioHttpClient

from memfold.providers.endpoint import Endpoint, Limits
from memfold.providers.services import Quirk


class Access(NamedTuple):
    """How a service is reached. `api_version` is only for those that have dated versions, and goes into the query."""

    base_url: str
    api_key: str
    quirks: frozenset[Quirk] = frozenset()
    api_version: str | None = None

    def address(self, model: str) -> str:
        """Where a model answers; of a dated version, the path of its deployment."""
        if self.api_version is None or "deployments" not in self.quirks:
            return self.base_url
        return f"{self.base_url.removesuffix('/').removesuffix('/v1')}/deployments/{model}"

    def headers(self) -> Mapping[str, str]:
        return {"api-key": self.api_key} if "api_key_header" in self.quirks else {}

    def query(self) -> Mapping[str, object]:
        return {"api-version": self.api_version} if self.api_version else {}


class OpenAIEndpoint(Endpoint):
    """The client's own retries are off, so that every attempt is counted here; its aiohttp transport costs half of the usual."""

    def __init__(self, provider: str, model: str, access: Access, limits: Limits) -> None:
        super().__init__(provider, model, access.address(model), limits)
        self.quirks = access.quirks
        self.client = AsyncOpenAI(
            base_url=self.address,
            api_key=access.api_key,
            timeout=limits.attempt,
            max_retries=0,
            http_client=DefaultAioHttpClient(timeout=limits.attempt),
            default_headers=access.headers(),
            default_query=access.query(),
        )

    async def close(self) -> None:
        """Gives up the connections."""
        await self.client.close()
