"""What a client shows a cluster, and where it stands: Kafka's own settings under Kafka's own names, with _ for the dot."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]


class Credentials(BaseModel):
    """Security and rack of every Kafka client of a process."""

    model_config = ConfigDict(frozen=True)

    security_protocol: Protocol = Field(
        default="PLAINTEXT", description="How clients reach Kafka: SSL means TLS, SASL a name and a proof."
    )
    sasl_mechanism: Mechanism | None = Field(default=None, description="With a SASL protocol only.")
    sasl_username: str | None = Field(default=None, description="For PLAIN and SCRAM.")
    sasl_password: SecretStr | None = None
    sasl_oauthbearer_client_id: str | None = Field(
        default=None, description="For OAUTHBEARER: client credentials for an OpenID Connect token endpoint."
    )
    sasl_oauthbearer_client_secret: SecretStr | None = None
    sasl_oauthbearer_token_endpoint_url: str | None = None
    sasl_oauthbearer_scope: str | None = None
    sasl_oauthbearer_extensions: str | None = Field(
        default=None, description="name=value,… sent to the broker with each token."
    )
    https_ca_location: str | None = Field(
        default=None, description="File with the authorities of the token endpoint. Unset: the system's."
    )
    ssl_ca_location: str | None = Field(
        default=None, description="File with the authorities that sign brokers. Unset: the system's."
    )
    ssl_certificate_location: str | None = Field(
        default=None, description="This client's certificate, for mutual TLS; PEM."
    )
    ssl_key_location: str | None = Field(default=None, description="Its private key; PEM.")
    ssl_key_password: SecretStr | None = None
    ssl_endpoint_identification_algorithm: Literal["https", "none"] = Field(
        default="https", description="none: a broker's certificate need not name its host."
    )
    client_rack: str | None = Field(
        default=None,
        description="Where this process stands, as in the brokers' broker.rack: it reads from the nearest replica, "
        "where brokers have RackAwareReplicaSelector.",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """What is set must work together, before anything connects with half of it."""
        sasl, mechanism = self.security_protocol.startswith("SASL"), self.sasl_mechanism
        if sasl and mechanism is None:
            raise ValueError(f"security_protocol {self.security_protocol} needs sasl_mechanism")
        if mechanism and not sasl:
            raise ValueError(
                f"sasl_mechanism {mechanism} needs security_protocol SASL_SSL or SASL_PLAINTEXT, not {self.security_protocol}"
            )
        for name in _NEEDED.get(mechanism or "", ()):
            if getattr(self, name) is None:
                raise ValueError(f"sasl_mechanism {mechanism} needs {name}")
        if (self.ssl_certificate_location is None) != (self.ssl_key_location is None):
            raise ValueError("ssl_certificate_location and ssl_key_location are set together, or neither")
        return self


_NAMED = ("sasl_username", "sasl_password")
_NEEDED = {
    "PLAIN": _NAMED,
    "SCRAM-SHA-256": _NAMED,
    "SCRAM-SHA-512": _NAMED,
    "OAUTHBEARER": (
        "sasl_oauthbearer_client_id",
        "sasl_oauthbearer_client_secret",
        "sasl_oauthbearer_token_endpoint_url",
    ),
}
