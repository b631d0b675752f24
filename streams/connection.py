"""How to reach Kafka: one description, given to librdkafka in its words here and to Faust in its own (faust_connection.py)."""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaError, KafkaException
from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

from memfold.streams.credentials import Credentials


def _passing(failure: BaseException) -> bool:
    codes = (
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        # A question that was on its way to a broker which the newest answer does not name: it is asked of another one.
        KafkaError._DESTROY_BROKER,
    )
    return isinstance(failure, KafkaException) and failure.args[0].code() in codes


once_settled = retry(
    retry=retry_if_exception(_passing), stop=stop_after_delay(10), wait=wait_fixed(0.1), reraise=True
)
"""Repeats a question to the broker while a topic was only just made, or a broker only just started or went."""


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
