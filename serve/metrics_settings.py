"""Settings of what is seen from outside."""

from __future__ import annotations

from pydantic import BaseModel, Field


class MetricsSettings(BaseModel, frozen=True, extra="forbid"):
    """Under MEMFOLD_METRICS__ in the environment."""

    port: int | None = Field(
        default=None,
        ge=1,
        le=65_535,
        description="Where each worker serves /metrics and /healthz; the next free one of sixteen, so that workers share a machine. "
        "Unset: it does not.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="Address for it. Metrics tell of no person, but they have no password.",
    )
