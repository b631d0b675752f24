"""A mapping file: what it finds in a record, and what is wrong with one."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.memory.errors import InvalidInput, InvalidType
from memfold.serve.source_mapping import SourceMapping, mapping_in, published

CHATS = """
source = "support"
infer = false
time_unit = "ms"
[fields]
user_id = "customer.id"
run_id = ["conversation.id"]
role = "by"
text = "parts.1.body"
time = "at"
idempotency_key = "id"
[constants]
agent_id = "bot"
[roles]
client = "user"
[metadata]
channel = "via"
"""
RECORD = {
    "customer": {"id": 7},
    "conversation.id": "c1",
    "by": "client",
    "parts": ["", {"body": "I like tea"}],
    "at": 1_772_532_000_000,
    "id": 41,
    "via": "web",
}


def mapping(tmp_path: Path, text: str = CHATS) -> SourceMapping:
    (tmp_path / "m.toml").write_text(text)
    return mapping_in(tmp_path / "m.toml")


def test_each_thing_is_found_where_the_file_says(tmp_path: Path) -> None:
    said = mapping(tmp_path).said(RECORD, {}, "place")
    assert said.scope.ids() == ("7", "bot", "c1", None)
    (message,) = said.item.messages
    assert (message.role, message.content) == ("user", "I like tea")
    assert said.item.metadata == '{"channel":"web"}'
    assert said.item.said_at == datetime(2026, 3, 3, 10, tzinfo=UTC)


def test_a_key_of_its_own_makes_the_place_indifferent_and_without_one_the_place_counts(
    tmp_path: Path,
) -> None:
    keyed = mapping(tmp_path)
    assert keyed.said(RECORD, {}, "here").key == keyed.said(RECORD, {}, "there").key
    placed = mapping(tmp_path, CHATS.replace('idempotency_key = "id"\n', ""))
    assert placed.said(RECORD, {}, "here").key != placed.said(RECORD, {}, "there").key
    other = mapping(tmp_path, CHATS.replace('"support"', '"sales"'))
    assert other.said(RECORD, {}, "here").key != keyed.said(RECORD, {}, "here").key


def test_key_and_time_of_a_kafka_record_can_be_mapped() -> None:
    by_key = SourceMapping.model_validate(
        {"source": "s", "fields": {"user_id": "@key", "text": "t", "time": "@timestamp"}}
    )
    said = by_key.said({"t": "x"}, {"@key": "alex", "@timestamp": 1_772_532_000_000}, "p")
    assert (said.scope.user_id, said.item.said_at) == ("alex", datetime(2026, 3, 3, 10, tzinfo=UTC))


def test_without_a_file_records_are_those_of_the_page() -> None:
    record = {
        "idempotency_key": "m1",
        "user_id": "alex",
        "messages": [{"role": "user", "content": "I like tea"}, {"role": "assistant", "content": "Noted"}],
        "metadata": {"topic": "drinks"},
        "time": "2026-03-03T10:00:00Z",
    }
    said = published("chats").said(record, {}, "p")
    assert [m.content for m in said.item.messages] == ["I like tea", "Noted"]
    with pytest.raises(InvalidInput, match="no idempotency_key"):
        published("chats").said({**record, "idempotency_key": None}, {}, "p")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("source = ", "no TOML"),
        ('source = "s"', "fields"),
        ('source = "s"\n[fields]\ntext = "t"', "whose the memories are"),
        ('source = "s"\n[fields]\nuser_id = "u"', "text, or messages"),
        ('source = "s"\n[fields]\nuser_id = "u"\ntext = "a..b"', "fields.text"),
        ('source = "s"\n[fields]\nuser = "u"\ntext = "t"', "fields.user"),
        (CHATS.replace('agent_id = "bot"', 'user_id = "x"'), "user_id is in .fields. and in .constants."),
        (CHATS.replace('client = "user"', 'client = "painter"'), "roles.client"),
    ],
)
def test_a_wrong_file_is_told_with_the_place(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        mapping(tmp_path, text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
ANY = SourceMapping.model_validate(
    {
        "source": "s",
        "fields": {
            "user_id": "a",
            "text": "b",
            "role": "c.a",
            "time": "c.b",
            "metadata": "c.c",
            "name": "b.0",
        },
    }
)


@given(st.dictionaries(st.sampled_from("abc"), json_values))
def test_any_record_is_taken_in_or_refused_with_a_reason(record: dict[str, Any]) -> None:
    with suppress(InvalidInput, InvalidType):
        said = ANY.said(record, {}, "p")
        assert said.item.messages[0].content == record["b"]


def test_the_mapping_of_the_page_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "ingest.md").read_text()
    said = mapping(tmp_path, page.split("```toml\n")[1].split("```")[0])
    assert said.fields.text == ("body", "text")
