"""One record of every released schema, with fixed ids, key and nonce: the bytes in `golden/` were made from these."""

from __future__ import annotations

from datetime import UTC, datetime

from memfold.schemas.codec import name_of
from memfold.schemas.records import (
    AddRequested,
    Body,
    Clear,
    ClearRequested,
    DeleteRequested,
    Envelope,
    Fact,
    ImportedVersion,
    ImportRequested,
    Item,
    MemoriesDecided,
    MemoryRead,
    MergeRequested,
    Message,
    ModelCall,
    Operation,
    RelationChange,
    RetryRequested,
    Scope,
    SplitRequested,
    UpdateRequested,
)

KEY = bytes(range(32))
_TIME = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
_ID = "5f0c9d4e-0000-4000-8000-00000000000"
_ALEX = Scope(user_id="alex", run_id="r1")

BODIES: dict[str, Body] = {
    "add_requested.v1": AddRequested(
        _ALEX, [Item([Message("user", "I met Sarah from Google", "Alex")], '{"topic":"work"}', _TIME)], True
    ),
    "update_requested.v1": UpdateRequested(_ID + "1", "I met Sarah", '{"topic":"people"}', "admin"),
    "delete_requested.v1": DeleteRequested(_ID + "1", "admin"),
    "clear_requested.v1": ClearRequested(_ALEX, True),
    "memories_decided.v1": MemoriesDecided(
        "decided",
        "why",
        [Fact("I met Sarah from Google", "personal details", 0, 0, 0.5)],
        [
            Operation(
                "ADD",
                _ID + "1",
                1,
                "I met Sarah from Google",
                _ALEX,
                0,
                "before",
                "user",
                "{}",
                _TIME,
                b"\0\1" * 4,
            )
        ],
        [
            RelationChange(
                "ASSERT", _ID + "2", _ID + "1", "Sarah", "WORKS_AT", "Google", "PERSON", "COMPANY", 0.5
            )
        ],
        [Clear(_ALEX, False)],
        [ModelCall("extract", "openai", "m", "abc", "{}", 10, 5, 1.5, 2, "slow")],
        "wordllama-256",
    ),
    "memories_decided.v2": MemoriesDecided(
        "degraded",
        "why",
        [Fact("My sister Maria left Google", "professional", 0, 1, 0.5, "Alex", "2026-11")],
        [
            Operation(
                "ADD",
                _ID + "1",
                1,
                "My sister Maria left Google",
                _ALEX,
                0,
                "before",
                "user",
                "{}",
                _TIME,
                b"\0\1" * 4,
                "professional",
                True,
                0,
                "5a1d",
                2,
                "2026-11",
            )
        ],
        [
            RelationChange(
                "RETRACT",
                _ID + "2",
                _ID + "1",
                "Maria",
                "WORKS_AT",
                "Google",
                "PERSON",
                "COMPANY",
                0.5,
                "EMPLOYED_BY",
                "maria#sister",
                "google",
                "sister",
                "search",
                _TIME,
                _TIME,
            )
        ],
        [Clear(_ALEX, False)],
        [
            ModelCall(
                "extract",
                "openai",
                "m",
                "abc",
                "{}",
                10,
                5,
                1.5,
                2,
                "slow",
                "extraction.v2",
                [_ID + "1"],
            )
        ],
        "wordllama-256",
    ),
    "memory_read.v1": MemoryRead(
        "search",
        "failed",
        "support-bot",
        "ViewUnreachable",
        "billing",
        3,
        b"\0\1" * 16,
        "a1",
        "r1",
        _TIME,
        1.5,
        True,
    ),
    "retry_requested.v1": RetryRequested(_ALEX),
    "merge_requested.v1": MergeRequested("Bob", "Robert", "admin"),
    "split_requested.v1": SplitRequested("Robert", "Bob", "admin"),
    "import_requested.v1": ImportRequested(
        _ID + "1",
        "mem0",
        _ALEX,
        [
            ImportedVersion("ADD", "I work at Google", _TIME, "bot", "user", '{"topic":"work"}'),
            ImportedVersion(
                "UPDATE", "I work at Signal", None, "bot", "user", "{}", "professional", "2026-11", True
            ),
        ],
        [
            RelationChange(
                "ASSERT",
                _ID + "2",
                _ID + "1",
                "alex",
                "WORKS_AT",
                "Signal",
                "PERSON",
                "COMPANY",
                0.5,
                "EMPLOYED_BY",
                "alex",
                "signal",
                "me",
                "app",
                _TIME,
                _TIME,
            )
        ],
    ),
}


def envelope_of(body: Body) -> Envelope:
    return Envelope(
        record_id=_ID + "3",
        type=name_of(body),
        tenant="default",
        subject=_ID + "4",
        command_id=_ID + "3",
        occurred_at=_TIME,
        body_schema=b"",
        key_id=_ID + "5",
        nonce=b"",
        command_offset=7,
        memory_ids=[_ID + "1"],
    )
