"""Access tokens for Faust's connections, from an OpenID Connect endpoint by client credentials (RFC 6749, 4.4).

librdkafka fetches its own; aiokafka asks for one with each connection, so a token is kept for most of its life.
"""

from __future__ import annotations

import asyncio
import ssl
import time

import aiohttp
import msgspec
from aiokafka.abc import AbstractTokenProvider  # type: ignore[import-untyped]

from memfold.memory.errors import NotAuthorized

_PATIENCE = aiohttp.ClientTimeout(total=10)
_RENEWED_AT = 0.8
"""Part of a token's life after which the next one is fetched, as in librdkafka."""


class _Answer(msgspec.Struct):
    access_token: str
    expires_in: float = 60.0


class TokenEndpoint(AbstractTokenProvider):  # type: ignore[misc]
    """One per consumer. `extensions` are sent to the broker with each token."""

    def __init__(
        self,
        url: str,
        client_id: str,
        client_secret: str,
        scope: str | None,
        extensions: dict[str, str],
        ca: str | None,
    ) -> None:
        self._url, self._client = url, client_id
        shown = aiohttp.encode_basic_auth(client_id, client_secret, encoding="utf-8")
        self._headers = {"Authorization": shown}
        self._form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
        self._extensions, self._ca = extensions, ca
        self._token, self._until = "", 0.0
        self._asking: asyncio.Lock | None = None

    async def token(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride] - theirs has no types
        """Raises NotAuthorized with what the endpoint answered."""
        # Made here, not before: the consumer runs on an event loop of its own thread.
        self._asking = self._asking or asyncio.Lock()
        async with self._asking:
            if time.monotonic() >= self._until:
                answer = await self._fetch()
                self._token = answer.access_token
                self._until = time.monotonic() + _RENEWED_AT * answer.expires_in
            return self._token

    def extensions(self) -> dict[str, str]:
        return self._extensions

    async def _fetch(self) -> _Answer:
        context: ssl.SSLContext | bool = ssl.create_default_context(cafile=self._ca) if self._ca else True
        try:
            async with (
                aiohttp.ClientSession(timeout=_PATIENCE, headers=self._headers) as session,
                session.post(self._url, data=self._form, ssl=context) as answer,
            ):
                body = await answer.read()
                if answer.status != 200:
                    raise NotAuthorized(
                        self._refused(f"{answer.status} {body[:200].decode(errors='replace')}")
                    )
                return msgspec.json.decode(body, type=_Answer)
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as failure:
            raise NotAuthorized(self._refused(str(failure) or type(failure).__name__)) from failure

    def _refused(self, how: str) -> str:
        return (
            f"no access token for {self._client} from {self._url}: {how}. Correct "
            "sasl_oauthbearer_client_id, its secret and the URL, or see why the endpoint does not answer"
        )
