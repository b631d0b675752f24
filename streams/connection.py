"""How to reach Kafka: one description, given to librdkafka and to Faust in each one's own words."""

from __future__ import annotations

import ssl
from typing import Any, Literal

import faust
from confluent_kafka import KafkaError, KafkaException
from pydantic import BaseModel, SecretStr
from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed


def _passing(failure: BaseException) -> bool:
    codes = (
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    )
    return isinstance(failure, KafkaException) and failure.args[0].code() in codes


once_settled = retry(
    retry=retry_if_exception(_passing), stop=stop_after_delay(10), wait=wait_fixed(0.1), reraise=True
)
"""Repeats a question to the broker while a topic was only just made, or its broker only just started."""


class Connection(BaseModel, frozen=True):
    """Addresses and credentials of a cluster; the names are Kafka's own."""

    bootstrap_servers: str
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca_location: str | None = None
    ssl_certificate_location: str | None = None
    ssl_key_location: str | None = None

    def librdkafka(self, **settings: Any) -> dict[str, Any]:
        """Settings for confluent-kafka clients; `settings` use librdkafka's names with _ for the dot."""
        mine = self.model_dump(exclude_none=True)
        if self.sasl_password:
            mine["sasl_password"] = self.sasl_password.get_secret_value()
        dotted = {name.replace("_", "."): value for name, value in (mine | settings).items()}
        # librdkafka prints connection trouble to stderr from its own threads; memfold's errors say it instead.
        return {"log_level": 0} | dotted

    def faust_brokers(self) -> list[str]:
        return [f"kafka://{address.strip()}" for address in self.bootstrap_servers.split(",")]

    def faust_credentials(self) -> Any:
        """Faust's credentials object, None for PLAINTEXT."""
        context = self._tls() if "SSL" in self.security_protocol else None
        if self.security_protocol.startswith("SASL"):
            password = self.sasl_password.get_secret_value() if self.sasl_password else None
            return faust.SASLCredentials(
                mechanism=self.sasl_mechanism,
                username=self.sasl_username,
                password=password,
                ssl_context=context,
            )
        return faust.SSLCredentials(context) if context else None

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ssl_ca_location)
        if self.ssl_certificate_location:
            context.load_cert_chain(self.ssl_certificate_location, self.ssl_key_location)
        return context
