"""A command written with Confluent's own serializer, by a program that has the key store: decided, archived and proved like any other."""

from __future__ import annotations

import io
import os
import uuid
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import fastavro
from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from memfold import AsyncMemory
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import COMMANDS, key_of, partition_of
from memfold.schemas.registry import newest
from memfold.serve.settings import Settings
from tests.serve.checks import everything_holds
from tests.serve.stacks import servers_of


def avro(name: str, fields: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, newest(name).parsed, fields)
    return out.getvalue()


def sealed(settings: Settings, user: str, text: str) -> tuple[str, dict[str, Any]]:
    """(subject, envelope with its body), as docs/commands.md says it is made."""
    with closing(KeyStore(settings.folder / "keys.db", settings.key_encrypting_key())) as keys:
        subject = keys.subject_of(settings.tenant, "user", user)
        key_id, key = keys.sealing_key(subject)
    message = {"role": "user", "content": text}
    asked = {"scope": {"user_id": user}, "items": [{"messages": [message]}], "infer": False}
    command = str(uuid.uuid4())
    nonce = os.urandom(12)
    envelope: dict[str, Any] = {
        "record_id": command,
        "type": "add_requested",
        "tenant": settings.tenant,
        "subject": subject,
        "command_id": command,
        "occurred_at": datetime.now(UTC),
        "body_schema": newest("add_requested").fingerprint,
        "key_id": key_id,
        "nonce": nonce,
        "body": b"",
    }
    clear = b"\xc3\x01" + newest("envelope").fingerprint + avro("envelope", envelope)[:-1]
    return subject, envelope | {"body": AESGCM(key).encrypt(nonce, avro("add_requested", asked), clear)}


async def test_a_command_of_confluents_serializer_is_decided(stack: Settings, memory: AsyncMemory) -> None:
    user = f"framed-{uuid.uuid4().hex[:8]}"
    registry = SchemaRegistryClient.new_client({"url": "mock://commands"})
    registry.register_schema(f"{COMMANDS}-value", Schema(newest("envelope").text, "AVRO"))
    settings = {"auto.register.schemas": False, "use.latest.version": True}
    write = AvroSerializer(registry, newest("envelope").text, conf=settings)  # pyright: ignore[reportCallIssue]
    subject, envelope = sealed(stack, user, "I keep bees")
    value = write(envelope, SerializationContext(COMMANDS, MessageField.VALUE))
    assert value is not None
    assert value[:1] == b"\0"
    producer = Producer({"bootstrap.servers": servers_of(stack)})
    key = key_of(stack.tenant, subject)
    async with memory.watch(user_id=user) as changes:
        producer.produce(COMMANDS, value, key, partition_of(stack.tenant, subject, stack.partitions))
        assert producer.flush(10) == 0
        assert (await anext(changes))["memory"] == "I keep bees"
    await everything_holds(stack, [envelope["command_id"]])
