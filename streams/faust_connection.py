"""How Faust reaches Kafka: a Connection in its words. Apart from it, for who only asks the log never loads Faust."""

from __future__ import annotations

import ssl
from typing import Any

import faust

from memfold.streams.connection import Connection
from memfold.streams.oauth import TokenEndpoint


def faust_brokers(connection: Connection) -> list[str]:
    return [f"kafka://{address.strip()}" for address in connection.bootstrap_servers.split(",")]


def faust_credentials(connection: Connection) -> Any:
    """Faust's credentials object, None for PLAINTEXT."""
    context = _tls(connection) if "SSL" in connection.security_protocol else None
    if not connection.security_protocol.startswith("SASL"):
        return faust.SSLCredentials(context) if context else None
    if connection.sasl_mechanism == "OAUTHBEARER":
        return faust.auth.OAuthCredentials(oauth_cb=_tokens(connection), ssl_context=context)
    password = connection.sasl_password.get_secret_value() if connection.sasl_password else None
    return faust.SASLCredentials(
        mechanism=connection.sasl_mechanism,
        username=connection.sasl_username,
        password=password,
        ssl_context=context,
    )


def _tokens(connection: Connection) -> TokenEndpoint:
    secret = connection.sasl_oauthbearer_client_secret
    pairs = (connection.sasl_oauthbearer_extensions or "").split(",")
    return TokenEndpoint(
        connection.sasl_oauthbearer_token_endpoint_url or "",
        connection.sasl_oauthbearer_client_id or "",
        secret.get_secret_value() if secret else "",
        connection.sasl_oauthbearer_scope,
        {name: value for name, _, value in (pair.partition("=") for pair in pairs) if name},
        connection.https_ca_location,
    )


def _tls(connection: Connection) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=connection.ssl_ca_location)
    context.check_hostname = connection.ssl_endpoint_identification_algorithm == "https"
    if connection.ssl_certificate_location:
        password = connection.ssl_key_password.get_secret_value() if connection.ssl_key_password else None
        context.load_cert_chain(connection.ssl_certificate_location, connection.ssl_key_location, password)
    return context
