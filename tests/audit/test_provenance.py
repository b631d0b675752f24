"""blame, diff, timeline, log, follow and show: each leads to the events that it speaks of."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from memfold.audit.errors import TooMuchToOpen, UnknownRecord
from memfold.memory.errors import InvalidInput, UnknownMemory
from memfold.projections.archive_rows import leaf_hash
from memfold.schemas.codec import decode_envelope
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import COMMANDS
from memfold.schemas.records import Clear, LogRecord, ModelCall, RelationChange, Scope
from tests.audit.asking import ALEX, KIM, LIFE
from tests.audit.full import asked
from tests.audit.logs import Script, log_of, subject_of, written
from tests.audit.test_audit_sql import hourly
from tests.strategies import EPOCH

WORKS = RelationChange("ASSERT", "a1", "m", "alex", "WORKS_AT", "Google")
CALL = ModelCall("decide", "openai", "small")


@pytest.fixture
def log(keys: KeyStore) -> list[LogRecord]:
    """0: m says coffee, and where alex works. 1: kim's. 2: m says tea. 3: n. 4: alex left. 5: everything of alex's is cleared. 6: o."""
    script = Script()(ALEX, written("ADD", "m", 1, "coffee"))(KIM, written("ADD", "k", 1, "kim's"))
    script(ALEX, written("UPDATE", "m", 2, "tea"))(ALEX, written("ADD", "n", 1, "walks"))
    script(ALEX, written("NONE", "m", 2, "tea"))(ALEX, clears=[Clear(Scope("alex"))])
    script(ALEX, written("ADD", "o", 1, "new"))
    events = hourly(script.events)
    events[0] = replace(events[0], body=replace(events[0].body, relations=[WORKS]))
    events[2] = replace(events[2], body=replace(events[2].body, calls=[CALL], reason="changed their mind"))
    events[4] = replace(events[4], body=replace(events[4].body, relations=[replace(WORKS, op="RETRACT")]))
    return log_of(events, keys)


def hour(n: float) -> str:
    return (EPOCH + timedelta(hours=n)).isoformat()


async def test_blame_is_about_what_is_there_now(tmp_path: Path, keys: KeyStore, log: list[LogRecord]) -> None:
    others = [replace(record, topic=COMMANDS) for record in log for _ in range(2)]
    others = [replace(record, offset=n) for n, record in enumerate(others)]
    with asked(tmp_path, log[:4], keys, archived=2, others=others) as audit:
        found = await audit.blame("m")
        assert [(part["part"], part["value"]) for part in found["parts"]] == [
            ("text", "tea"),
            ("relation", "alex WORKS_AT Google"),
        ]
        text, relation = found["parts"]
        assert (text["version"]["version"], text["version"]["at"]["event_id"]) == (2, "event 2")
        assert text["model_calls"][0]["model"] == "small"
        assert text["decision"]["reason"] == "changed their mind"
        at = text["message"]["at"]
        assert (at["topic"], at["partition"], at["offset"], at["command_id"]) == (COMMANDS, 0, 4, "command 4")
        assert (relation["version"]["at"]["offset"], relation["model_calls"]) == (0, [])
        with pytest.raises(UnknownMemory):
            await audit.blame("never")
    with asked(tmp_path / "whole", log, keys, others=others) as audit:
        (gone,) = (await audit.blame("m"))["parts"]
        assert (gone["value"], gone["version"]["event"], gone["version"]["at"]["offset"]) == (
            None,
            "DELETE",
            5,
        )


@pytest.mark.parametrize("archived", [0, 4])
async def test_diff_compares_two_states(
    tmp_path: Path, keys: KeyStore, log: list[LogRecord], archived: int
) -> None:
    with asked(tmp_path, log, keys, archived=archived) as audit:
        found = await audit.diff(hour(0.5), hour(3.5), user_id="alex")
        assert [(one["memory"], one["was"]) for one in found["changed"]] == [("tea", "coffee")]
        assert [one["memory"] for one in found["added"]] == ["walks"]
        assert (found["gone"], found["relations_begun"], found["relations_ended"]) == ([], [], [])
        assert (await audit.diff(hour(2.5), hour(3.5), user_id="alex"))["changed"] == [], "tea is still tea"
        found = await audit.diff(hour(-1), hour(0), user_id="alex")
        assert [one["target"] for one in found["relations_begun"]] == ["Google"], (
            "the moment of an event is after it"
        )
        found = await audit.diff(hour(3), hour(6), user_id="alex")
        assert [one["memory"] for one in found["added"]] == ["new"]
        assert sorted(one["memory"] for one in found["gone"]) == ["tea", "walks"]
        assert [one["relationship"] for one in found["relations_ended"]] == ["WORKS_AT"]
        with pytest.raises(InvalidInput, match="swap them"):
            await audit.diff(hour(2), hour(1), user_id="alex")
        with pytest.raises(InvalidInput, match="whose memories"):
            await audit.diff(hour(1), hour(2))


async def test_timeline(tmp_path: Path, keys: KeyStore, log: list[LogRecord]) -> None:
    with asked(tmp_path, log, keys, archived=3) as audit:
        told = [(one["what"], one["text"] or one["previous"]) for one in await audit.timeline(user_id="alex")]
        assert told == [
            ("ADD", "coffee"),
            ("BEGIN", "alex WORKS_AT Google"),
            ("UPDATE", "tea"),
            ("ADD", "walks"),
            ("END", "alex WORKS_AT Google"),
            ("DELETE", "tea"),
            ("DELETE", "walks"),
            ("ADD", "new"),
        ]
        late = await audit.timeline(user_id="alex", since=hour(3), until=hour(5))
        assert [one["what"] for one in late] == ["ADD", "END"]


async def test_log_has_the_newest_first(tmp_path: Path, keys: KeyStore, log: list[LogRecord]) -> None:
    with asked(tmp_path, log, keys, archived=5, limit=3) as audit:
        found = await audit.log(limit=3)
        assert [one["offset"] for one in found] == [6, 5, 4]
        assert [one["did"] for one in found] == [
            ["ADD new"],
            ["CLEAR a scope"],
            ["NONE tea", "RETRACT alex WORKS_AT Google"],
        ]
        assert {one["who"] for one in found} == {"alex"}
        assert [one["offset"] for one in await audit.log(user_id="kim")] == [1]
        with pytest.raises(TooMuchToOpen, match="at most 3"):
            await audit.log(limit=7)


async def test_follow_gives_each_event_once(tmp_path: Path, keys: KeyStore, log: list[LogRecord]) -> None:
    growing = log[:2]
    with asked(tmp_path, growing, keys) as audit:
        auditor = await audit._ready()
        tail = auditor.log._tail
        coming = audit.follow(after={0: 0})
        assert (await anext(coming))["offset"] == 1
        for record in log[2:]:
            tail.partitions[0].append(record)  # type: ignore[attr-defined]
            assert (await anext(coming))["offset"] == record.offset
        await coming.aclose()  # type: ignore[attr-defined]


async def test_show_is_the_record_itself(tmp_path: Path, keys: KeyStore, log: list[LogRecord]) -> None:
    again = replace(log[2], offset=len(log))
    with asked(tmp_path, [*log, again], keys, archived=3) as audit:
        found = await audit.show("event 2")
        assert bytes.fromhex(found["raw"]) == log[2].value
        assert (found["partition"], found["offset"], found["closed"]) == (0, 2, None)
        assert found["leaf_hash"] == leaf_hash(log[2].value).hex()
        assert found["body"]["operations"][0]["text"] == "tea"
        assert (found["schema"]["name"], found["schema"]["fingerprint"]) == (
            "memories_decided",
            decode_envelope(log[2].value)[0].body_schema.hex(),
        )
        assert [one["offset"] for one in found["written_again"]] == [len(log)]
        keys.destroy(subject_of(keys, LIFE[1]))
        closed = await audit.show("event 2")
        assert (closed["body"], closed["envelope"]["record_id"]) == (None, "event 2")
        assert "KeyDestroyed" in closed["closed"]
        with pytest.raises(UnknownRecord, match="event 99"):
            await audit.show("event 99")
    with asked(tmp_path / "other", log, keys, "zeta") as audit, pytest.raises(UnknownRecord):
        await audit.show("event 2")


async def test_show_prefers_what_is_genuine(tmp_path: Path, keys: KeyStore, log: list[LogRecord]) -> None:
    forged = replace(log[2], value=log[2].value[:-1] + bytes([log[2].value[-1] ^ 1]))
    with asked(tmp_path, [*log[:2], forged, replace(log[2], offset=3)], keys, archived=3) as audit:
        found = await audit.show("event 2")
        assert (found["offset"], found["closed"]) == (3, None)
        assert [one["offset"] for one in found["written_again"]] == [2]


async def test_another_tenant_is_asked_about_nothing(
    tmp_path: Path, keys: KeyStore, log: list[LogRecord]
) -> None:
    with asked(tmp_path, log, keys, "zeta", archived=3) as audit:
        assert await audit.log() == []
        assert await audit.timeline(user_id="alex") == []
        assert (await audit.as_of(hour(3)))["results"] == []
        with pytest.raises(UnknownMemory):
            await audit.blame("m")
