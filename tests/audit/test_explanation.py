"""Why a memory says what it says: from the version back to the words, the fact, the decision and the calls."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from memfold.audit.explanation import explanation
from memfold.audit.history import DuckDBHistory
from memfold.projections.archive import ArchiveShard
from memfold.schemas.codec import encode
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import COMMANDS, key_of
from memfold.schemas.records import (
    AddRequested,
    Command,
    Event,
    Fact,
    Item,
    LogRecord,
    MemoriesDecided,
    Message,
    ModelCall,
    Operation,
    RelationChange,
    RetryRequested,
    Scope,
)
from tests.strategies import EPOCH, history

ALEX = Scope(user_id="alex")
SAID = [Message("assistant", "Where do you work?"), Message("user", "At Google, and I like tea")]
ADD = AddRequested(ALEX, [Item([Message("user", "hi")]), Item(SAID, said_at=EPOCH)])


def decided(offset: int, body: MemoriesDecided) -> Event:
    first = history(Random(1), 1)[0]
    envelope = replace(
        first.envelope,
        record_id=f"event {offset}",
        command_id=f"command {offset}",
        command_offset=offset,
        memory_ids=sorted({done.memory_id for done in body.operations}),
    )
    return Event(0, offset, EPOCH + timedelta(seconds=offset), envelope, body)


FACTS = [
    Fact("I work at Google", "professional", 1, 1, 0.9, "", "2026-03"),
    Fact("I like tea", "preferences", 1, 1),
]
CALL = ModelCall("extraction", "openai", "m", "abc", '{"facts": []}', shown=["m1"])
ADDED = decided(
    0,
    MemoriesDecided(
        "decided",
        facts=FACTS,
        operations=[
            Operation("ADD", "m1", 1, "I work at Google", ALEX, 1, fact=0),
            Operation("ADD", "m2", 1, "I like tea", ALEX, 1, fact=1),
        ],
        relations=[RelationChange("ASSERT", "a1", "m1", "alex", "WORKS_AT", "Google")],
        calls=[CALL],
    ),
)


def test_a_version_leads_back_to_its_words_and_its_call() -> None:
    found = explanation([ADDED], {"command 0": ADD}, "m1")
    assert found["memory"] == "I work at Google"
    (version,) = found["versions"]
    assert [(m["role"], m["content"], m["holds_the_fact"]) for m in version["said"]] == [
        ("assistant", "Where do you work?", False),
        ("user", "At Google, and I like tea", True),
    ]
    assert version["said"][0]["said_at"] == EPOCH.isoformat()
    assert (version["fact"]["kind"], version["fact"]["when"]) == ("professional", "2026-03")
    assert version["decision"] == {"outcome": "decided", "reason": None}
    assert [(r["op"], r["target"]) for r in version["relations"]] == [("ASSERT", "Google")]
    assert (version["calls"][0]["answer"], version["calls"][0]["shown"]) == ('{"facts": []}', ["m1"])
    assert version["place"] == {"event_id": "event 0", "partition": 0, "offset": 0, "command_offset": 0}


def test_each_memory_of_an_event_has_its_own_fact() -> None:
    (version,) = explanation([ADDED], {"command 0": ADD}, "m2")["versions"]
    assert version["fact"]["text"] == "I like tea"
    assert version["relations"] == []


def test_without_the_command_the_words_are_missing_and_all_else_is_there() -> None:
    (version,) = explanation([ADDED], {"command 0": None}, "m1")["versions"]
    assert version["said"] is None
    assert version["fact"]["text"] == "I work at Google"


def test_a_retry_was_about_the_pending_text() -> None:
    again = decided(
        1,
        MemoriesDecided(
            "decided",
            facts=[Fact("I left", item=4)],
            operations=[Operation("UPDATE", "m1", 2, "I left", ALEX, 4, "I left them, sorry", fact=0)],
        ),
    )
    commands: dict[str, Command | None] = {"command 0": ADD, "command 1": RetryRequested(ALEX)}
    first, second = explanation([ADDED, again], commands, "m1")["versions"]
    assert (first["version"], second["version"]) == (1, 2)
    assert [m["content"] for m in second["said"]] == ["I left them, sorry"]


class CommandTail:
    def __init__(self, records: list[LogRecord]) -> None:
        self.records = records

    def records_after(self, topic: str, partition: int, offset: int) -> list[LogRecord]:
        return self.records[offset + 1 :] if topic == COMMANDS else []


def command_records(keys: KeyStore, count: int) -> list[LogRecord]:
    subject = keys.subject_of("acme", "user", "alex")
    key_id, key = keys.sealing_key(subject)
    records = []
    for offset in range(count):
        envelope = replace(
            ADDED.envelope,
            type="add_requested",
            subject=subject,
            command_id=f"command {offset}",
            command_offset=-1,
            key_id=key_id,
        )
        value = encode(envelope, replace(ADD, infer=offset % 2 == 0), key)
        records.append(LogRecord(COMMANDS, 0, offset, 0, key_of("acme", subject), value))
    return records


@pytest.mark.parametrize("archived", [0, 2, 4])
async def test_a_command_is_found_in_the_archive_or_behind_it(
    keys: KeyStore, tmp_path: Path, archived: int
) -> None:
    records = command_records(keys, 4)
    with closing(ArchiveShard(tmp_path, COMMANDS, 0)) as shard:
        if archived:
            shard.append(records[:archived])
    with closing(DuckDBHistory(tmp_path, 1, CommandTail(records), keys)) as log:
        for offset in range(4):
            event = decided(offset, MemoriesDecided("decided"))
            assert await log.command_of(event) == replace(ADD, infer=offset % 2 == 0)


async def test_a_command_of_somebody_else_or_one_that_is_damaged_is_none(
    keys: KeyStore, tmp_path: Path
) -> None:
    records = command_records(keys, 2)
    broken = replace(records[0], value=records[0].value[:-1] + bytes([records[0].value[-1] ^ 1]))
    with closing(DuckDBHistory(tmp_path, 1, CommandTail([broken, records[0]]), keys)) as log:
        assert await log.command_of(decided(0, MemoriesDecided("decided"))) is None
        assert await log.command_of(decided(1, MemoriesDecided("decided"))) is None
