"""Settings of what a worker answers callers, and how callers reach it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, SecretStr, model_validator

_EVERYWHERE = ("0.0.0.0", "::")


class ViewSettings(BaseModel, frozen=True, extra="forbid"):
    """Under MEMFOLD_VIEW__ in the environment; workers and callers share them."""

    host: str = Field(
        default="127.0.0.1",
        description="Address on which a worker answers callers. 0.0.0.0: callers on other machines too.",
    )
    port: int = Field(
        default=0, ge=0, le=65_535, description="0: any that is free; then workers share a machine."
    )
    advertised: str | None = Field(
        default=None,
        description="Name or address by which callers reach this worker. Unset: `host`, or this machine's name for 0.0.0.0.",
    )
    token: SecretStr | None = Field(
        default=None, min_length=32, description="What callers show. Unset: home/run/view.token."
    )
    certificate: Path | None = Field(
        default=None,
        description="PEM; with `key` the worker answers over TLS. Without, token and answers travel in the clear.",
    )
    key: Path | None = Field(default=None, description="Its private key; PEM.")
    ca: Path | None = Field(
        default=None,
        description="For callers: the authorities that sign workers' certificates. Unset: the system's.",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("view certificate and key are set together, or neither")
        return self

    @property
    def name(self) -> str:
        """What stands in the address that callers read."""
        return self.advertised or (socket.gethostname() if self.host in _EVERYWHERE else self.host)

    @property
    def exposed(self) -> bool:
        """Whether other machines reach it, and read along."""
        return (
            not self.host.startswith("127.")
            and self.host not in ("::1", "localhost")
            and self.certificate is None
        )
