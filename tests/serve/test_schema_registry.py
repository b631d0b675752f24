"""A real schema registry beside a running stack: schemas are registered, and a topic in Confluent's framing is taken in."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from typer.testing import CliRunner

from memfold.schemas.registry import newest
from memfold.serve.cli_whole import app
from memfold.serve.registering import subjects
from memfold.serve.settings import Settings
from tests.serve.apicurio import apicurio
from tests.serve.test_ingest import MAPPING, made_topic, produce, report, texts

CHAT = json.dumps(
    {
        "type": "record",
        "name": "Chat",
        "fields": [{"name": "who", "type": "string"}, {"name": "said", "type": ["null", "string"]}],
    }
)


def test_without_a_registry_the_subjects_are_listed() -> None:
    listed = CliRunner().invoke(app, ["infra", "schemas", "--json"])
    assert [(one["subject"], one["id"]) for one in json.loads(listed.stdout)] == [
        (subject, None) for subject, _ in subjects()
    ]
    assert "memfold.commands-value" in listed.stdout


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with apicurio(tmp_path_factory.mktemp("registry")) as url:
        yield url


@pytest.mark.long
def test_memfolds_schemas_are_registered_and_stay_what_they_are(registry: str) -> None:
    words = ["infra", "schemas", "--register", registry, "--json"]
    first, again = (
        json.loads(CliRunner().invoke(app, words, catch_exceptions=False).stdout) for _ in range(2)
    )
    assert first == again
    with SchemaRegistryClient({"url": registry}) as client:
        assert set(client.get_subjects()) >= {subject for subject, _ in subjects()}
        assert client.get_versions("memfold.MemoriesDecided") == [1, 2, 3]
        for subject, name in (("commands-value", "envelope"), ("AddRequested", "add_requested")):
            found = client.get_latest_version(f"memfold.{subject}").schema.schema_str
            assert found is not None
            assert json.loads(found) == json.loads(newest(name).text)


@pytest.mark.long
def test_a_topic_in_confluents_framing_is_taken_in(stack: Settings, registry: str, tmp_path: Path) -> None:
    user, topic = f"avro-{uuid.uuid4().hex[:8]}", made_topic(stack)
    (tmp_path / "m.toml").write_text(MAPPING.format(source=user))
    about = SerializationContext(topic, MessageField.VALUE)
    with SchemaRegistryClient({"url": registry}) as client:
        write = AvroSerializer(client, CHAT)  # pyright: ignore[reportCallIssue]
        values = [write({"who": user, "said": f"said {n}"}, about) or b"" for n in range(3)]
    unknown = b"\0" + (99_999).to_bytes(4, "big") + values[0][5:]
    produce(
        stack,
        topic,
        [*values, unknown, values[0] + b"x", b'{"who": "' + user.encode() + b'", "said": "JSON"}'],
    )
    told = ("topic", topic, "--mapping", str(tmp_path / "m.toml"), "--registry", registry)
    done = report(stack, *told, status=1)
    assert (done["written"], done["refused_count"]) == (4, 2)
    assert texts(stack, user) == ["JSON", *(f"said {n}" for n in range(3))]
