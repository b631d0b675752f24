"""How a Weaviate is reached: HTTP for what collections there are, gRPC for what is in them, both or nothing."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

import grpc  # type: ignore[import-untyped]
import httpx
from pydantic import Field, field_validator
from weaviate import WeaviateClient
from weaviate.auth import Auth
from weaviate.connect import ConnectionParams
from weaviate.exceptions import (
    WeaviateConnectionError,
    WeaviateRetryError,
    WeaviateStartUpError,
    WeaviateTimeoutError,
)

from memfold.stores.settings import Options, StoreSettings

# It logs whole objects that a server refuses, and in them is what people said; what it raises is told by memfold.
logging.getLogger("weaviate-client").setLevel(logging.CRITICAL)

UNREACHABLE = (
    WeaviateConnectionError,
    WeaviateRetryError,
    WeaviateStartUpError,
    WeaviateTimeoutError,
    httpx.TransportError,
    TimeoutError,
)
"""What the client, and `connected`, raise where nothing answers."""
_SECONDS = 10


class WeaviateSettings(StoreSettings):
    cluster_url: str = Field(description="`http://host:8080`, or `https://….weaviate.cloud`.")
    auth_client_secret: str | None = Field(default=None, repr=False, description="An API key.")
    additional_headers: Options = Field(
        default={}, repr=False, description="Sent with every request; a mapping, or JSON."
    )
    grpc_host: str | None = Field(
        default=None, description="If it is not the URL's; in Weaviate Cloud `grpc-` and the URL's."
    )
    grpc_port: int | None = Field(default=None, description="If it is not 50051; in Weaviate Cloud 443.")

    @field_validator("cluster_url")
    @classmethod
    def _whole(cls, given: str) -> str:
        url = urlsplit(given)
        if url.scheme not in ("http", "https") or not url.hostname or url.port == 0:
            raise ValueError(f"{given!r} is no address: write http:// or https://, a host and its port")
        return given


def connected(settings: WeaviateSettings) -> WeaviateClient:
    """Raises what is in `UNREACHABLE`, and WeaviateBaseError for a key that is refused."""
    where = _addresses(settings)
    key = settings.auth_client_secret
    client = WeaviateClient(
        where,
        auth_client_secret=None if key is None else Auth.api_key(key),
        additional_headers=settings.additional_headers,
        # They ask PyPI whether there is a newer client.
        skip_init_checks=True,
    )
    try:
        client.connect()
        _await_grpc(where)
    except BaseException:
        client.close()
        raise
    return client


def _addresses(settings: WeaviateSettings) -> ConnectionParams:
    url = urlsplit(settings.cluster_url)
    host, secure = url.hostname or "", url.scheme == "https"
    cloud = host.endswith(".weaviate.cloud")
    return ConnectionParams.from_params(
        http_host=host,
        http_port=url.port or (443 if secure else 80),
        http_secure=secure,
        grpc_host=settings.grpc_host or (f"grpc-{host}" if cloud else host),
        grpc_port=settings.grpc_port or (443 if cloud else 50051),
        grpc_secure=secure,
    )


def _await_grpc(where: ConnectionParams) -> None:
    """Raises TimeoutError. The client would try its first query again for a minute."""
    address = f"{where.grpc.host}:{where.grpc.port}"
    secure = where.grpc.secure
    with (
        grpc.secure_channel(address, grpc.ssl_channel_credentials())
        if secure
        else grpc.insecure_channel(address)
    ) as channel:
        try:
            grpc.channel_ready_future(channel).result(_SECONDS)
        except grpc.FutureTimeoutError:
            raise TimeoutError(f"it answers, but not its gRPC at {address} (grpc_host, grpc_port)") from None
