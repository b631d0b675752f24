"""Records of others in each form that Avro has, and what becomes of those that are none. The registry is confluent-kafka's mock client."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from hypothesis import given
from hypothesis import strategies as st

from memfold.infra.ports import free_ports
from memfold.memory.errors import InvalidInput, RegistryUnreachable
from memfold.replay.jsonl import object_in
from memfold.schemas.registry import fingerprint_of
from memfold.streams.avro_records import AvroRecords
from memfold.streams.schema_registry import RegistryAccess, SchemaRegistry

CHAT = json.dumps(
    {
        "type": "record",
        "name": "Chat",
        "namespace": "shop",
        "fields": [
            {"name": "who", "type": "string"},
            {"name": "said", "type": ["null", "string"], "default": None},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {
                "name": "price",
                "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
            },
            {"name": "tags", "type": {"type": "map", "values": "string"}},
        ],
    }
)
AT = datetime(2026, 3, 3, 10, tzinfo=UTC)
SAID = {"who": "alex", "said": "I like tea", "at": AT, "price": Decimal("3.50"), "tags": {"via": "web"}}
FOUND = {**SAID, "at": "2026-03-03T10:00:00+00:00", "price": "3.50"}


def bare(text: str, value: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(text), named_schemas={}), value)
    return out.getvalue()


def json_in(raw: bytes) -> dict[str, Any]:
    return object_in(raw, "a record")


@pytest.fixture
def client() -> SchemaRegistryClient:
    return SchemaRegistryClient.new_client({"url": "mock://registry"})


@pytest.fixture
def records(client: SchemaRegistryClient) -> AvroRecords:
    return AvroRecords(SchemaRegistry(client, "mock://registry"), [], json_in)


def test_what_confluents_serializer_writes_is_read_and_so_is_json_beside_it(
    client: SchemaRegistryClient, records: AvroRecords
) -> None:
    write = AvroSerializer(client, CHAT)  # pyright: ignore[reportCallIssue]
    value = write(SAID, SerializationContext("chats", MessageField.VALUE))
    assert value is not None
    assert records.object_in(value) == FOUND
    assert records.object_in(b'{"who": "alex"}') == {"who": "alex"}
    with pytest.raises(InvalidInput, match="1 bytes follow"):
        records.object_in(value + b"x")
    with pytest.raises(InvalidInput, match="has no schema 4711"):
        records.object_in(b"\0" + (4711).to_bytes(4, "big"))


def test_a_schema_that_refers_to_another_is_read(client: SchemaRegistryClient, records: AvroRecords) -> None:
    person = {"type": "record", "name": "shop.Person", "fields": [{"name": "id", "type": "string"}]}
    client.register_schema("shop.Person", Schema(json.dumps(person), "AVRO"))
    chat = {"type": "record", "name": "shop.Chat", "fields": [{"name": "by", "type": "shop.Person"}]}
    refers = Schema(json.dumps(chat), "AVRO", [SchemaReference("shop.Person", "shop.Person", 1)])
    schema_id = client.register_schema("chats-value", refers)
    whole = json.dumps({**chat, "fields": [{"name": "by", "type": person}]})
    value = b"\0" + schema_id.to_bytes(4, "big") + bare(whole, {"by": {"id": "alex"}})
    assert records.object_in(value) == {"by": {"id": "alex"}}


def test_another_kind_of_schema_is_refused(client: SchemaRegistryClient, records: AvroRecords) -> None:
    schema_id = client.register_schema("chats-value", Schema('{"type": "object"}', "JSON"))
    with pytest.raises(InvalidInput, match="one of JSON, not of Avro"):
        records.object_in(b"\0" + schema_id.to_bytes(4, "big") + b"{}")


def test_with_a_schema_at_hand_single_objects_and_bare_records_are_read() -> None:
    other = json.dumps({"type": "record", "name": "Old", "fields": [{"name": "who", "type": "string"}]})
    records = AvroRecords(None, [CHAT, other], json_in)
    assert records.object_in(bare(CHAT, SAID)) == FOUND
    assert records.object_in(b"\xc3\x01" + fingerprint_of(CHAT) + bare(CHAT, SAID)) == FOUND
    single = b"\xc3\x01" + fingerprint_of(other) + bare(other, {"who": "x"})
    assert records.object_in(single) == {"who": "x"}


def test_without_what_it_takes_the_reason_says_what_is_missing() -> None:
    records = AvroRecords(None, [], json_in)
    with pytest.raises(InvalidInput, match="as schema 7; name it with --registry"):
        records.object_in(b"\0\0\0\0\7abc")
    with pytest.raises(InvalidInput, match=r"0102030405060708; give that file with --schema"):
        records.object_in(b"\xc3\x01" + bytes(range(1, 9)) + b"abc")


@given(st.binary(max_size=60))
def test_any_bytes_are_read_whole_or_refused(raw: bytes) -> None:
    try:
        found = AvroRecords(None, [CHAT], json_in).object_in(raw)
    except InvalidInput:
        return
    json.dumps(found)


def test_a_registry_that_is_away_is_no_fault_of_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    client = RegistryAccess().opened(url)
    monkeypatch.setattr(client._rest_client, "max_retries", 0)
    with pytest.raises(RegistryUnreachable, match="no registry answers at http"):
        AvroRecords(SchemaRegistry(client, url), [], json_in).object_in(b"\0\0\0\0\1")


def test_credentials_in_the_url_are_refused() -> None:
    with pytest.raises(InvalidInput, match="MEMFOLD_REGISTRY_USERNAME"):
        RegistryAccess().opened("http://me:secret@127.0.0.1")
