"""How to reach Kafka: one description, given to librdkafka and to Faust in each one's own words."""

from __future__ import annotations

import ssl
from typing import Any

import faust
from confluent_kafka import KafkaError, KafkaException
from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

from memfold.streams.credentials import Credentials
from memfold.streams.oauth import TokenEndpoint


def _passing(failure: BaseException) -> bool:
    codes = (
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    )
    return isinstance(failure, KafkaException) and failure.args[0].code() in codes


once_settled = retry(
    retry=retry_if_exception(_passing), stop=stop_after_delay(10), wait=wait_fixed(0.1), reraise=True
)
"""Repeats a question to the broker while a topic was only just made, or its broker only just started."""


class Connection(Credentials):
    """Addresses and credentials of a cluster; every client that memfold makes is made of one."""

    bootstrap_servers: str

    @property
    def who(self) -> str:
        """Whom the broker takes this client for, as far as it is known here."""
        name = self.sasl_username or self.sasl_oauthbearer_client_id
        if self.security_protocol.startswith("SASL") and name:
            return f"User:{name}"
        return (
            f"the certificate {self.ssl_certificate_location}"
            if self.ssl_certificate_location
            else "User:ANONYMOUS"
        )

    def librdkafka(self, **settings: Any) -> dict[str, Any]:
        """Settings for confluent-kafka clients; `settings` use librdkafka's names with _ for the dot."""
        mine = {
            name: value.get_secret_value() if hasattr(value, "get_secret_value") else value
            for name, value in self
            if value is not None
        }
        if self.sasl_mechanism == "OAUTHBEARER":
            mine["sasl_oauthbearer_method"] = "oidc"
        dotted = {name.replace("_", "."): value for name, value in (mine | settings).items()}
        # librdkafka prints connection trouble to stderr from its own threads; memfold's errors say it instead.
        return {"log_level": 0} | dotted

    def faust_brokers(self) -> list[str]:
        return [f"kafka://{address.strip()}" for address in self.bootstrap_servers.split(",")]

    def faust_credentials(self) -> Any:
        """Faust's credentials object, None for PLAINTEXT."""
        context = self._tls() if "SSL" in self.security_protocol else None
        if not self.security_protocol.startswith("SASL"):
            return faust.SSLCredentials(context) if context else None
        if self.sasl_mechanism == "OAUTHBEARER":
            return faust.auth.OAuthCredentials(oauth_cb=self._tokens(), ssl_context=context)
        password = self.sasl_password.get_secret_value() if self.sasl_password else None
        return faust.SASLCredentials(
            mechanism=self.sasl_mechanism, username=self.sasl_username, password=password, ssl_context=context
        )

    def _tokens(self) -> TokenEndpoint:
        secret = self.sasl_oauthbearer_client_secret
        pairs = (self.sasl_oauthbearer_extensions or "").split(",")
        return TokenEndpoint(
            self.sasl_oauthbearer_token_endpoint_url or "",
            self.sasl_oauthbearer_client_id or "",
            secret.get_secret_value() if secret else "",
            self.sasl_oauthbearer_scope,
            {name: value for name, _, value in (pair.partition("=") for pair in pairs) if name},
            self.https_ca_location,
        )

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ssl_ca_location)
        context.check_hostname = self.ssl_endpoint_identification_algorithm == "https"
        if self.ssl_certificate_location:
            password = self.ssl_key_password.get_secret_value() if self.ssl_key_password else None
            context.load_cert_chain(self.ssl_certificate_location, self.ssl_key_location, password)
        return context
