"""SQL over the full log: what the views hold, how bounds narrow them, and that duplicates and forgeries are what they are in history."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from memfold.audit.errors import TooMuchToOpen
from memfold.audit.views import VIEWS
from memfold.memory.errors import InvalidInput
from memfold.projections.archive_rows import leaf_hash
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import COMMANDS, QUARANTINE
from memfold.schemas.records import Event, LogRecord, ModelCall, RelationChange
from tests.audit.asking import ALEX, KIM, LIFE
from tests.audit.full import asked, rows
from tests.audit.logs import Script, log_of, subject_of, written
from tests.strategies import EPOCH

ARCHIVED = pytest.mark.parametrize("archived", [0, 5, len(LIFE)])


def hourly(events: list[Event]) -> list[Event]:
    """One event an hour, so that bounds in time can fall between any two."""
    return [replace(event, recorded_at=EPOCH + timedelta(hours=n)) for n, event in enumerate(events)]


@ARCHIVED
async def test_every_version_is_a_row(tmp_path: Path, keys: KeyStore, archived: int) -> None:
    with asked(tmp_path, log_of(LIFE, keys), keys, archived=archived) as audit:
        found = await rows(
            audit,
            'SELECT memory_id, version, event, text, previous, reason, "offset" FROM versions ORDER BY "offset", memory_id',
        )
        current = await rows(audit, "SELECT memory_id FROM memories")
    assert (
        found
        == [
            ("k", 1, "ADD", "kim's", None, None, 0),
            ("m", 1, "ADD", "coffee", None, None, 1),
            ("m", 2, "UPDATE", "tea", "coffee", None, 3),
            ("n", 1, "ADD", "walks", None, None, 3),
            ("n", 2, "DELETE", None, "walks", None, 5),
            ("m", 3, "DELETE", None, "tea", "clear", 6),
            ("o", 1, "ADD", "new", None, None, 7),
            ("k", 2, "DELETE", None, "kim's", "clear", 8),
            ("o", 2, "DELETE", None, "new", "clear", 8),
        ]
        or sorted(found, key=str) == []
    )
    assert current == []


@ARCHIVED
async def test_clear_columns_are_the_log_itself(tmp_path: Path, keys: KeyStore, archived: int) -> None:
    log = log_of(LIFE, keys)
    with asked(tmp_path, log, keys, archived=archived) as audit:
        found = await audit.sql('SELECT * FROM events ORDER BY "offset"')
    assert found.columns == [column.name for column in VIEWS["events"].columns]
    mine = [record for record, event in zip(log, LIFE, strict=True) if event.envelope.tenant == "acme"]
    assert [row["leaf_hash"] for row in found.rows] == [leaf_hash(record.value).hex() for record in mine]
    assert [row["bytes"] for row in found.rows] == [len(record.value) for record in mine]
    first = found.rows[0]
    assert (first["event_id"], first["type"], first["tenant"]) == ("event 0", "memories_decided", "acme")
    assert (first["time"], first["memory_ids"], first["command_offset"]) == (
        EPOCH.replace(tzinfo=None),
        ["k"],
        0,
    )
    assert first["subject"] == subject_of(keys, LIFE[0])


@ARCHIVED
async def test_a_user_narrows_every_view(tmp_path: Path, keys: KeyStore, archived: int) -> None:
    with asked(tmp_path, log_of(LIFE, keys), keys, archived=archived) as audit:
        assert await rows(audit, "SELECT DISTINCT memory_id FROM versions", user_id="kim") == []
        alex = await rows(audit, "SELECT DISTINCT memory_id FROM versions ORDER BY 1", user_id="alex")
        assert alex == [("m",), ("n",), ("o",)]
        assert await rows(audit, "SELECT count(*) FROM events", user_id="kim") == [(2,)]
        assert await rows(audit, "SELECT kind, id FROM subjects", user_id="kim") == [("user", "kim")]
        assert await rows(audit, "SELECT count(*) FROM events", user_id="nobody") == [(0,)]
        assert await rows(audit, "SELECT count(*) FROM versions", user_id="nobody") == [(0,)]
        assert await rows(audit, "SELECT count(*) FROM versions", memory_id="m") == [(3,)]
        assert await rows(audit, "SELECT event FROM versions ORDER BY version", memory_id="k") == [
            ("ADD",),
            ("DELETE",),
        ]
        assert await rows(audit, "SELECT count(*) FROM versions", memory_id="z") == [(0,)], (
            "it is another tenant's"
        )
        assert await rows(audit, "SELECT count(*) FROM versions", agent_id="planner") == [(0,)]


@ARCHIVED
async def test_another_tenants_rows_are_not_there(tmp_path: Path, keys: KeyStore, archived: int) -> None:
    with asked(tmp_path, log_of(LIFE, keys), keys, "zeta", archived=archived) as audit:
        assert await rows(audit, "SELECT memory_id, text FROM versions") == [("z", "zeta's")]
        assert await rows(audit, "SELECT DISTINCT tenant FROM events") == [("zeta",)]
        assert await rows(audit, "SELECT DISTINCT tenant FROM log_events JOIN events USING (tenant)") == [
            ("zeta",)
        ]
        assert await rows(audit, "SELECT id FROM subjects WHERE kind = 'user'") == [("alex",)]
        assert await rows(audit, "SELECT count(*) FROM versions", user_id="kim") == [(0,)]
    with asked(tmp_path, log_of(LIFE, keys), keys, "nobody") as audit:
        for view in VIEWS:
            assert await rows(audit, f"SELECT count(*) FROM {view}") == [(0,)]


@ARCHIVED
async def test_bounds_in_time(tmp_path: Path, keys: KeyStore, archived: int) -> None:
    log = log_of(hourly(LIFE), keys)
    at = [EPOCH + timedelta(hours=n) for n in range(len(LIFE))]
    with asked(tmp_path, log, keys, archived=archived) as audit:
        count = "SELECT count(*) FROM events"
        assert await rows(audit, count, since=at[3], until=at[5]) == [(2,)]
        assert await rows(audit, count, since=at[3] + timedelta(microseconds=1), until=at[5]) == [(1,)]
        began = "SELECT memory_id, version FROM versions ORDER BY ALL"
        assert await rows(audit, began, since=at[3], until=at[6]) == [("m", 2), ("n", 1), ("n", 2)]
        now = "SELECT memory_id, text, valid_to FROM memories ORDER BY ALL"
        assert await rows(audit, now, until=at[3]) == [("k", "kim's", None), ("m", "coffee", None)]
        assert await rows(audit, now, until=at[4], user_id="alex") == [
            ("m", "tea", None),
            ("n", "walks", None),
        ]
        assert await rows(audit, now, since=at[7], until=at[8]) == [("o", "new", None)]
        ends = "SELECT memory_id FROM versions WHERE reason = 'clear' ORDER BY ALL"
        assert await rows(audit, ends, since=at[8]) == [("k",), ("o",)], "a clear ends memories of others too"


async def test_duplicates_and_forgeries_are_left_out_and_counted(tmp_path: Path, keys: KeyStore) -> None:
    script = Script()(ALEX, written("ADD", "m", 1, "coffee"))(ALEX, written("UPDATE", "m", 2, "tea"))
    script(ALEX, written("UPDATE", "m", 3, "mate"), again=2)(KIM, again=10**9)
    script(ALEX, written("UPDATE", "m", 3, "water"))
    log = log_of(script.events, keys)
    log[3] = replace(log[3], value=log[3].value[:-1] + bytes([log[3].value[-1] ^ 1]))
    with asked(tmp_path, log, keys, archived=2) as audit:
        found = await audit.sql("SELECT version, text FROM versions ORDER BY version")
        assert [tuple(row.values()) for row in found.rows] == [(1, "coffee"), (2, "tea"), (3, "water")]
        assert found.left_out == {"duplicates": 1, "unreadable": 1}
        assert await rows(audit, "SELECT count(*) FROM events") == [(5,)], "the log itself shows them"


async def test_a_version_number_is_given_once(tmp_path: Path, keys: KeyStore) -> None:
    script = Script()(ALEX, written("ADD", "m", 1, "a"))(ALEX, written("UPDATE", "m", 2, "b"))
    script(ALEX, written("UPDATE", "m", 2, "c"))
    with asked(tmp_path, log_of(script.events, keys), keys) as audit:
        found = await rows(audit, "SELECT version, text FROM versions ORDER BY ALL")
    assert found == [(1, "a"), (2, "b"), (3, "c")]


async def test_an_erased_subject_is_a_number_and_no_more(tmp_path: Path, keys: KeyStore) -> None:
    keys_of = subject_of(keys, LIFE[1])
    log = log_of(LIFE, keys)
    keys.destroy(keys_of)
    with asked(tmp_path, log, keys, archived=4) as audit:
        found = await audit.sql("SELECT DISTINCT memory_id FROM versions")
        assert [row["memory_id"] for row in found.rows] == ["k"]
        assert found.left_out == {"erased": 6}
        assert await rows(audit, f"SELECT id FROM subjects WHERE subject = '{keys_of}'") == [(None,)]


async def test_relations_and_model_calls(tmp_path: Path, keys: KeyStore) -> None:
    script = Script()(ALEX, written("ADD", "m", 1, "I work at Google"))(
        ALEX, written("UPDATE", "m", 2, "I left")
    )
    asserted = RelationChange("ASSERT", "a1", "m", "alex", "WORKS_AT", "Google Inc.", confidence=0.5)
    call = ModelCall("extract", "openai", "small", "ab", "{}", 3, 4, 1.5, 2, "", "v1", ["m"])
    bodies = [
        replace(script.events[0].body, relations=[asserted], calls=[call]),
        replace(script.events[1].body, relations=[replace(asserted, op="RETRACT", valid_to=EPOCH)]),
    ]
    events = [replace(event, body=body) for event, body in zip(script.events, bodies, strict=True)]
    with asked(tmp_path, log_of(hourly(events), keys), keys, archived=1) as audit:
        told = "SELECT source, relationship, target_entity, confidence, asserted_at, ended_at, valid_to, user_id FROM relations"
        start, end = EPOCH.replace(tzinfo=None), (EPOCH + timedelta(hours=1)).replace(tzinfo=None)
        assert await rows(audit, told) == [("alex", "WORKS_AT", "google", 0.5, start, end, start, "alex")]
        assert await rows(audit, told, until=EPOCH + timedelta(hours=1)) == [
            ("alex", "WORKS_AT", "google", 0.5, start, None, None, "alex")
        ]
        calls = 'SELECT purpose, model, input_tokens, attempts, shown, event_id, "offset", outcome FROM model_calls'
        assert await rows(audit, calls) == [("extract", "small", 3, 2, ["m"], "event 0", 0, "decided")]
        assert await rows(audit, calls, since=EPOCH + timedelta(hours=1)) == []


async def test_quarantine_shows_what_is_the_tenants_or_nobodys(tmp_path: Path, keys: KeyStore) -> None:
    log = log_of(LIFE, keys)

    def put(offset: int, value: bytes, key: bytes) -> LogRecord:
        told = {
            "topic": "memfold.events",
            "partition": 0,
            "offset": offset,
            "role": "vector",
            "timestamp_ms": 1,
            "reason": "forged",
        }
        return LogRecord(QUARANTINE, 0, offset, 2000, key, json.dumps(told).encode() + b"\n" + value)

    others = [
        put(0, log[0].value, b"a"),
        put(1, log[0].value, b"a"),
        put(2, log[9].value, b"b"),
        put(3, b"rubbish", b"c"),
    ]
    others.append(LogRecord(QUARANTINE, 0, 4, 2000, b"d", b"no line of ours"))
    with asked(tmp_path, log, keys, others=others) as audit:
        found = await rows(audit, 'SELECT "offset", role, record_id, bytes FROM quarantine ORDER BY "offset"')
    assert found == [(0, "vector", "event 0", len(log[0].value)), (3, "vector", None, 7), (4, "", None, 15)]


async def test_commands_have_a_view(tmp_path: Path, keys: KeyStore) -> None:
    others = [replace(record, topic=COMMANDS) for record in log_of(LIFE[:2], keys)]
    with asked(tmp_path, log_of(LIFE, keys), keys, others=others) as audit:
        joined = "SELECT c.command_id, e.event_id FROM commands c JOIN events e ON c.partition = e.partition AND c.offset = e.offset"
        assert await rows(audit, f"{joined} ORDER BY 1") == [("event 0", "event 0"), ("event 1", "event 1")]


async def test_too_much_to_open_names_the_bound(tmp_path: Path, keys: KeyStore) -> None:
    with asked(tmp_path, log_of(LIFE, keys), keys, archived=5, limit=6) as audit:
        with pytest.raises(
            TooMuchToOpen, match=r"9 encrypted records .* at most 6 .* give user_id or memory_id or since"
        ):
            await audit.sql("SELECT * FROM memories")
        assert await rows(audit, "SELECT count(*) FROM events") == [(9,)], "nothing is opened for it"
        assert await rows(audit, "SELECT text FROM memories", memory_id="k") == [], (
            "six name it or clear something"
        )
        assert await rows(audit, "SELECT count(*) FROM versions WHERE memory_id = 'k'", until=EPOCH) == [(0,)]


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"since": "yesterday"}, "since 'yesterday' is no time"),
        ({"since": datetime(2026, 3, 1)}, "no time zone"),
        ({"since": EPOCH, "until": EPOCH}, "is not before until"),
        ({"user_id": " "}, "user_id is blank"),
    ],
)
async def test_bounds_are_checked(
    tmp_path: Path, keys: KeyStore, bounds: dict[str, object], words: str
) -> None:
    with asked(tmp_path, [], keys) as audit, pytest.raises(InvalidInput, match=words):
        await audit.sql("SELECT 1", **bounds)  # type: ignore[arg-type]


async def test_every_documented_column_is_there(tmp_path: Path, keys: KeyStore) -> None:
    with asked(tmp_path, log_of(LIFE, keys), keys, archived=5) as audit:
        for view in VIEWS.values():
            found = (await audit.sql(f"SELECT * FROM {view.name}")).to_arrow()
            assert found.schema.names == view.schema.names
            assert found.schema.types == view.schema.types, view.name


def test_a_date_is_its_midnight_in_utc() -> None:
    from memfold.audit.bounds import checked_moment

    assert checked_moment("since", "2026-03-03") == datetime(2026, 3, 3, tzinfo=UTC)
    assert checked_moment("since", "2026-03-03T01:00:00+01:00") == datetime(2026, 3, 3, tzinfo=UTC)
