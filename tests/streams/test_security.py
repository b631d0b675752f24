"""Every way to show a Kafka who one is, through every client that memfold makes: admin, writer, reader, and Faust."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from memfold.infra.ports import LOOPBACK, free_ports
from memfold.memory.errors import InvalidInput, NotAuthorized
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import LogRecord
from memfold.serve.settings import settings_from
from memfold.streams.connection import Connection
from memfold.streams.follower import Failed
from memfold.streams.oauth import TokenEndpoint
from memfold.streams.positioned import GATHERED_BYTES
from memfold.streams.processor import Processor
from memfold.streams.reader import LogReader
from memfold.streams.topics import TopicPlan, ensure_topics
from memfold.streams.writer import LogWriter
from tests.infra.certificates import Authority
from tests.infra.kafka_cluster import Cluster, running_cluster

JAAS = "org.apache.kafka.common.security"
SECRET = "a secret of a test"


@dataclass(frozen=True)
class Secured:
    """A broker with a door for each protocol."""

    cluster: Cluster
    doors: dict[str, str]
    authority: Authority
    client: tuple[Path, Path]

    def connection(self, protocol: str, **settings: Any) -> Connection:
        tls = {"ssl_ca_location": str(self.authority.ca)} if protocol.endswith("SSL") else {}
        given: dict[str, Any] = {"security_protocol": protocol} | tls | settings
        return Connection(bootstrap_servers=self.doors[protocol], **given)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder)
    certificate, key = authority.signed("broker")
    both = folder / "broker.both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    tls, named, both_ways = free_ports(3)
    plain_users = f'username="x" password="x" user_memfold="{SECRET}"'
    settings: dict[str, str | int] = {
        "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,NAMED:SASL_PLAINTEXT,BOTH:SASL_SSL",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(both),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.ca),
        "listener.name.tls.ssl.client.auth": "required",
    }
    for door in ("named", "both"):
        for mechanism, login in (
            ("plain", f"{JAAS}.plain.PlainLoginModule required {plain_users};"),
            ("scram-sha-256", f"{JAAS}.scram.ScramLoginModule required;"),
            ("scram-sha-512", f"{JAAS}.scram.ScramLoginModule required;"),
            (
                "oauthbearer",
                f'{JAAS}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
            ),
        ):
            settings[f"listener.name.{door}.{mechanism}.sasl.jaas.config"] = login
    scram = [f"{hash}=[name=memfold,password={SECRET}]" for hash in ("SCRAM-SHA-256", "SCRAM-SHA-512")]
    options = [word for each in scram for word in ("--add-scram", each)]
    extra = {"TLS": tls, "NAMED": named, "BOTH": both_ways}
    with running_cluster(folder / "kafka", 1, settings, format_options=options, doors=extra) as cluster:
        ensure_topics(Connection(bootstrap_servers=cluster.bootstrap), TopicPlan(partitions=1))
        doors = {
            "SSL": f"{LOOPBACK}:{tls}",
            "SASL_PLAINTEXT": f"{LOOPBACK}:{named}",
            "SASL_SSL": f"{LOOPBACK}:{both_ways}",
        }
        yield Secured(cluster, doors, authority, authority.signed("client", "of the key"))


def unsigned(claims: dict[str, Any]) -> str:
    """A token as Kafka's own validator for development takes it: a JWT with algorithm none."""
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."


@dataclass
class Issuer:
    """An OpenID Connect token endpoint."""

    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def token(self, request: web.Request) -> web.Response:
        shown = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
        login, _, password = shown.partition(":")
        form = await request.post()
        self.asked.append((login, str(form.get("scope"))))
        if password != SECRET or form["grant_type"] != "client_credentials":
            return web.json_response({"error": "invalid_client"}, status=401)
        now = int(time.time())
        token = unsigned({"sub": login, "iat": now, "exp": now + 600, "scope": "kafka"})
        return web.json_response({"access_token": token, "token_type": "Bearer", "expires_in": 600})


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    application = web.Application()
    application.router.add_post("/token", issuer.token)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    issuer.url = f"http://{LOOPBACK}:{runner.addresses[0][1]}/token"
    yield issuer
    await runner.cleanup()


class Collecting:
    """A sink that keeps the bytes; `there` is set when the wanted ones have come."""

    longest_rest = 0.0

    def __init__(self, wanted: bytes) -> None:
        self._wanted, self.there = wanted, asyncio.Event()

    async def open(self, failed: Failed) -> int:
        return 0

    async def process(self, records: Sequence[LogRecord]) -> None:
        if any(record.value == self._wanted for record in records):
            self.there.set()

    async def at_rest(self) -> None: ...

    async def close(self) -> None:
        pass


async def passes(connection: Connection, state: Path) -> None:
    """A record through the writer, seen by the reader and by Faust, which joined its group before it was written."""
    assert await asyncio.to_thread(ensure_topics, connection, TopicPlan(partitions=1), ["vector"]) == 1
    mark = str(time.time_ns()).encode()
    sink = Collecting(mark)
    role = f"test-{mark.decode()}"
    processor = Processor(role, [EVENTS], lambda _topic, _partition: sink, connection, state)
    writer, reader = LogWriter(connection), LogReader(connection)
    try:
        await processor.start()
        (offset,) = await writer.append(EVENTS, 0, [(b"k", mark)])
        batches = await asyncio.to_thread(lambda: list(reader.read(EVENTS, 0, offset, offset + 1)))
        assert [record.value for batch in batches for record in batch] == [mark]
        async with asyncio.timeout(60):
            await sink.there.wait()
    finally:
        await processor.stop()
        writer.close()
        reader.close()


@pytest.mark.parametrize(
    ("protocol", "mechanism"),
    [
        pytest.param("SASL_PLAINTEXT", "PLAIN", marks=pytest.mark.long),
        pytest.param("SASL_PLAINTEXT", "SCRAM-SHA-256", marks=pytest.mark.long),
        ("SASL_SSL", "SCRAM-SHA-512"),
    ],
)
async def test_by_name_and_password(secured: Secured, tmp_path: Path, protocol: str, mechanism: str) -> None:
    named = {"sasl_mechanism": mechanism, "sasl_username": "memfold", "sasl_password": SECRET}
    await passes(secured.connection(protocol, **named), tmp_path)


async def test_by_certificate(secured: Secured, tmp_path: Path) -> None:
    certificate, key = secured.client
    shown = {
        "ssl_certificate_location": str(certificate),
        "ssl_key_location": str(key),
        "ssl_key_password": "of the key",
    }
    await passes(secured.connection("SSL", **shown), tmp_path)


async def test_by_token(secured: Secured, tmp_path: Path, issuer: Issuer) -> None:
    bearer = {
        "sasl_mechanism": "OAUTHBEARER",
        "sasl_oauthbearer_client_id": "memfold",
        "sasl_oauthbearer_client_secret": SECRET,
        "sasl_oauthbearer_token_endpoint_url": issuer.url,
        "sasl_oauthbearer_scope": "kafka",
    }
    await passes(secured.connection("SASL_SSL", **bearer), tmp_path)
    assert set(issuer.asked) == {("memfold", "kafka")}


async def test_a_token_is_kept_and_a_refusal_says_what_the_endpoint_said(issuer: Issuer) -> None:
    tokens = TokenEndpoint(issuer.url, "memfold", SECRET, None, {"zone": "a"}, None)
    assert await tokens.token() == await tokens.token()
    assert len(issuer.asked) == 1
    assert tokens.extensions() == {"zone": "a"}
    wrong = TokenEndpoint(issuer.url, "memfold", "wrong", None, {}, None)
    with pytest.raises(NotAuthorized, match=r"401.*invalid_client.*client_id"):
        await wrong.token()
    with pytest.raises(NotAuthorized, match="no access token for memfold"):
        await TokenEndpoint(f"http://{LOOPBACK}:1/token", "memfold", SECRET, None, {}, None).token()


def test_a_wrong_password_is_no_broker_that_is_away(secured: Secured) -> None:
    wrong = {"sasl_mechanism": "SCRAM-SHA-256", "sasl_username": "memfold", "sasl_password": "wrong"}
    with pytest.raises(NotAuthorized, match=r"User:memfold over SASL_PLAINTEXT; correct MEMFOLD_SASL"):
        ensure_topics(secured.connection("SASL_PLAINTEXT", **wrong), TopicPlan())


def test_an_authority_that_nobody_knows(secured: Secured, tmp_path: Path) -> None:
    stranger = Authority(tmp_path).ca
    with pytest.raises(NotAuthorized, match="do not trust each other"):
        ensure_topics(secured.connection("SASL_SSL", ssl_ca_location=str(stranger), **NAMED), TopicPlan())


NAMED = {"sasl_mechanism": "PLAIN", "sasl_username": "memfold", "sasl_password": SECRET}


async def test_faust_reads_from_the_rack_that_it_stands_in_and_lets_the_broker_gather(
    secured: Secured, tmp_path: Path
) -> None:
    connection = secured.connection("SASL_PLAINTEXT", client_rack="rack-1", **NAMED)
    sink = Collecting(b"")
    processor = Processor("test-rack", [EVENTS], lambda *_: sink, connection, tmp_path, gather_ms=70)
    await processor.start()
    try:
        thread: Any = processor._app.consumer._thread  # type: ignore[attr-defined]
        fetcher = thread._consumer._fetcher
        assert fetcher._client_rack == "rack-1"
        assert (fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms) == (GATHERED_BYTES, 70)
    finally:
        await processor.stop()
    assert connection.librdkafka()["client.rack"] == "rack-1"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"security_protocol": "SASL_SSL"}, "needs sasl_mechanism"),
        ({"sasl_mechanism": "PLAIN"}, "SASL_SSL or SASL_PLAINTEXT, not PLAINTEXT"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512"}, "needs sasl_username"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}, "sasl_oauthbearer_client_id"),
        ({"security_protocol": "SSL", "ssl_certificate_location": "c.pem"}, "set together"),
    ],
)
def test_half_of_what_is_needed_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        settings_from(**given)
    with pytest.raises(ValidationError, match=told):
        Connection(bootstrap_servers="127.0.0.1:1", **given)
