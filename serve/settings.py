"""The settings of a deployment: arguments first, then MEMFOLD_* from the environment, then the defaults here."""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from memfold.memory.errors import InvalidInput
from memfold.memory.weights import Weights
from memfold.projections.durable import write_once
from memfold.projections.index_above import INDEX_ABOVE
from memfold.providers.presets import ModelSettings, embedder_from
from memfold.providers.reranker_settings import RerankerSettings
from memfold.serve.audit_settings import AuditSettings
from memfold.serve.logs import LogFormat
from memfold.serve.metrics_settings import MetricsSettings
from memfold.serve.view_settings import ViewSettings
from memfold.streams.connection import Connection
from memfold.streams.credentials import Credentials
from memfold.streams.topics import TopicPlan


class _Place(BaseSettings):
    """Where a deployment is; a class of its own so that these settings stand first wherever settings are listed."""

    home: Path = Field(
        default=Path("~/.memfold"), description="Where keys, projections and the embedded broker live."
    )
    tenant: str = Field(
        default="default", description="Whose deployment; memories of different tenants never meet."
    )
    bootstrap_servers: str | None = Field(
        default=None, description="An existing Kafka. Unset: the embedded one."
    )


class Settings(Credentials, _Place):
    """Every setting there is; `memfold config` prints them with their sources."""

    model_config = SettingsConfigDict(
        env_prefix="MEMFOLD_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    partitions: int = Field(
        default=4, ge=1, description="Of memfold.commands and memfold.events, when they are made."
    )
    replication: int = Field(
        default=1,
        ge=1,
        description="Brokers that keep each record, when the topics are made. 3 in a cluster.",
    )
    min_insync: int = Field(
        default=1,
        ge=1,
        description="Of them, how many must have a record before it counts as written (min.insync.replicas). 2 of 3.",
    )
    key: SecretStr | None = Field(
        default=None, description="Key-encrypting key, 32 bytes in base64. Unset: home/key."
    )
    key_store: SecretStr | None = Field(
        default=None,
        description="Address of a PostgreSQL (libpq's) that holds the key store, for machines that share a home; needs the extra "
        "postgres. Unset: home/keys.db.",
    )
    patience: float = Field(
        default=30.0, gt=0, description="Seconds that a write waits to be decided and seen."
    )
    signed_receipts: bool = Field(
        default=False,
        description="Sign the receipt of every write with the log's key: evidence before it is sealed.",
    )
    index_above: int = Field(
        default=INDEX_ABOVE,
        ge=1,
        description="Memories in a partition from which on the worker keeps indices for searches across subjects.",
    )
    local_graphs: Path | None = Field(
        default=None,
        description="A folder of this machine where its worker keeps its graph shards, with snapshots in the home for whoever gets their "
        "partitions next. Unset: the shards are in the home.",
    )
    graph_snapshot_minutes: float = Field(
        default=10.0,
        gt=0,
        description="With local_graphs: how often a snapshot is made of a shard that has changed.",
    )
    previous_generation_hours: float = Field(
        default=72.0,
        ge=0.1,
        description="How long `memfold replay rollback` can return to the generation before, unless a rebuild takes its place.",
    )
    scrub_share: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="Share of its time that a worker compares what it serves with the log, a slice of subjects at a time; the log of one "
        "partition is copied for it, encrypted as it is, to a file without a name below `run` in the home. 0: never.",
    )
    subject_rate: float | None = Field(
        default=None,
        gt=0,
        description="Adds of one subject a second that may ask a model; what comes faster is kept as said, pending. Unset: no limit.",
    )
    subject_burst: int = Field(default=20, ge=1, description="With subject_rate: how many of them at once.")
    log_format: LogFormat = Field(
        default="text",
        description="How processes log, on standard error: text for people, json for a collector.",
    )
    otel_endpoint: str | None = Field(
        default=None,
        pattern="^https?://",
        description="Where callers and workers send traces: an OTLP/HTTP collector, as http://localhost:4318; needs the extra otel. "
        "Unset: where OTEL_EXPORTER_OTLP_ENDPOINT says, else nowhere.",
    )
    models: ModelSettings = Field(default_factory=ModelSettings)
    reranker: RerankerSettings = Field(default_factory=RerankerSettings)
    audit: AuditSettings = Field(default_factory=AuditSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)
    view: ViewSettings = Field(default_factory=ViewSettings)
    weights: Weights = Field(
        default_factory=Weights, description="How much each part of a search's score counts."
    )

    @property
    def folder(self) -> Path:
        """The home as an absolute path."""
        return self.home.expanduser().absolute()

    def connection(self, bootstrap_servers: str) -> Connection:
        names = set(Connection.model_fields) - {"bootstrap_servers"}
        return Connection(
            bootstrap_servers=bootstrap_servers, **{name: getattr(self, name) for name in names}
        )

    def dimensions(self) -> int:
        """Of the configured embedder's vectors."""
        return embedder_from(self.models).dimensions

    @property
    def embeddings(self) -> Path:
        """Where vectors are kept that were made again for another embedder."""
        return self.folder / "projections" / "embeddings"

    def topic_plan(self) -> TopicPlan:
        return TopicPlan(self.partitions, self.replication, self.min_insync)

    def key_encrypting_key(self) -> bytes:
        """The 32 bytes that wrap every subject's key. Raises InvalidInput."""
        if self.key is None:
            text = _private(self.folder / "key", b64encode(secrets.token_bytes(32)).decode())
        else:
            text = self.key.get_secret_value()
        try:
            key = b64decode(text, validate=True)
        except ValueError:
            key = b""
        if len(key) != 32:
            raise InvalidInput(
                "the key-encrypting key must be 32 bytes in base64; make one with `openssl rand -base64 32`"
            )
        return key

    def view_token(self) -> str:
        """What a caller shows to a worker's view."""
        if self.view.token is not None:
            return self.view.token.get_secret_value()
        return _private(self.folder / "run" / "view.token", secrets.token_urlsafe(32))


def settings_from(**given: Any) -> Settings:
    """Settings with what is given on top. Raises InvalidInput naming each field and the variable that sets it."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as wrong:
        lines = [
            ": ".join(filter(None, (".".join(map(str, e["loc"])), e["msg"].removeprefix("Value error, "))))
            for e in wrong.errors()
        ]
        names = [f"MEMFOLD_{'__'.join(map(str, e['loc'])).upper()}" for e in wrong.errors() if e["loc"]]
        set_by = " or ".join(names) or "them as MEMFOLD_<NAME>"
        raise InvalidInput(f"configuration: {'; '.join(lines)}. Set {set_by}, or pass it") from None


def _private(path: Path, content: str) -> str:
    """The file's text; made with `content` where it is not there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return write_once(path, content).strip()
