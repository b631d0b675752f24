"""Settings of the audit: how reads are recorded, what a client says of itself, and how the archive is kept."""

from __future__ import annotations

import os
import pwd
from typing import Literal

from pydantic import BaseModel, Field

ReadMode = Literal["off", "async", "strict"]


class AuditSettings(BaseModel, frozen=True, extra="forbid"):
    """Under MEMFOLD_AUDIT__ in the environment."""

    reads: ReadMode = Field(
        default="async",
        description="Reads as events: off; async: sent without waiting; strict: no answer before its event is acknowledged.",
    )
    actor: str | None = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="Who reads. Unset: os: and the account's name.",
    )
    purpose: str | None = Field(
        default=None, min_length=1, max_length=256, description="What this client reads for."
    )
    purposes: tuple[str, ...] = Field(
        default=(),
        description="The only purposes that reads are allowed for, a JSON list. Empty: any, or none.",
    )
    upkeep: float = Field(
        default=600.0,
        ge=0,
        description="Seconds between two rounds in which the archive's small files are merged by day and sorted. 0: never.",
    )
    file_mb: int = Field(
        default=64,
        ge=1,
        le=1024,
        description="MB of records in a merged file at most; a reader in log order holds as much in memory.",
    )


def account() -> str:
    """The account that this process runs under."""
    uid = os.getuid()
    try:
        return f"os:{pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"os:{uid}"
