"""What happens in a golden log: every command there is, every way in which a record can stand in a log, in as few records as that takes."""

from __future__ import annotations

import asyncio
from pathlib import Path

from memfold import Memory
from memfold.schemas.codec import decode_envelope
from memfold.schemas.partitions import COMMANDS, EVENTS
from memfold.serve.embedded import running_stack
from memfold.serve.settings import Settings
from memfold.streams.writer import LogWriter
from tests.serve.checks import reader_of, records

ALEX, BEA, ERASED, LEFT = "alex", "bea", "erased", "left"
AWAY = {
    "llm_provider": "openai",
    "llm_base_url": "http://127.0.0.1:9/v1",
    "llm_model": "away",
    "llm_api_key": "none",
    "timeout_seconds": 1,
    "call_seconds": 1,
}
"""A model that does not answer: what is said meanwhile is kept as it was said, and decided again by a retry."""
IMPORTED = {
    "id": "5f0c9d4e-0000-4000-8000-000000000001",
    "user_id": BEA,
    "versions": [
        {"event": "ADD", "memory": "I like milk", "at": "2025-01-01T00:00:00+00:00"},
        {"event": "UPDATE", "memory": "I like tea", "at": "2025-02-01T00:00:00+00:00"},
    ],
}


def while_the_model_is_away(home: Path) -> None:
    with Memory(home=home, models=AWAY) as memory:
        kept = memory.add("My sister Anna lives in Oslo", user_id=BEA)
        assert "degraded" in kept


def with_its_model(home: Path) -> None:
    """Told, changed, taken back, cleared, read."""
    with Memory(home=home) as memory:
        assert memory.retry(user_id=BEA)["pending"] == 0
        met = memory.add("I met Sarah from Google", user_id=ALEX, metadata={"topic": "work"})
        memory.add("I like coffee", user_id=ALEX, agent_id="assistant", idempotency_key="coffee")
        memory.add("I like coffee", user_id=ALEX, agent_id="assistant", idempotency_key="coffee")
        memory.add("I like coffee", user_id=ALEX, agent_id="assistant")
        memory.add("Actually, I prefer tea now", user_id=ALEX, agent_id="assistant")
        memory.add_many(
            [{"messages": "My car is a Volvo", "timestamp": "2026-03-03T10:00:00Z"}, {"messages": "My cat is old"}],
            user_id=ALEX,
            infer=False,
        )  # fmt: skip
        memory.update(met["results"][0]["id"], "I met Sarah from Initech")
        memory.revert(met["results"][0]["id"], "a slip", actor_id="kim")
        gone = memory.add("I work at Siemens", user_id=BEA)["results"][0]["id"]
        memory.delete(gone)
        memory.revert(gone, "it was right", actor_id="kim")
        poison = memory.add("I am allergic to water", user_id=BEA, actor_id="bot-7", infer=False)
        memory.revoke([poison["receipt"]["command_id"]], reason="poisoned", actor_id="kim")
        memory.add("Bob works at Initech", user_id=ALEX)
        memory.add("Robert lives in Oslo", user_id=ALEX)
        memory.merge_entities("Bob", "Robert", user_id=ALEX)
        memory.split_entity("Robert", "Bob", user_id=ALEX)
        assert memory.import_memories([IMPORTED])["imported"] == 1
        memory.add("forget me", user_id=ERASED, infer=False)
        memory.add("Today I leave", user_id=LEFT, infer=False)
        memory.delete_all(user_id=LEFT)
        memory.search("Who works at Google?", user_id=ALEX)
        memory.get_all(user_id=BEA)
    with Memory(home=home, tenant="zeta") as other:
        other.add("I live in Bergen", user_id=ALEX)
        other.reset()


async def with_what_nobody_should_write(settings: Settings) -> None:
    """Bytes that are no record, and an event that stands there twice. Behind everything: `decide` would notice another writer."""
    reader = reader_of(settings)
    servers = running_stack(settings)
    assert servers is not None
    writer = LogWriter(settings.connection(servers))
    try:
        for partition in range(settings.partitions):
            events = records(reader, EVENTS, partition)
            first = next(one for one in events if decode_envelope(one.value)[0].command_offset == 0)
            await writer.append(
                EVENTS, partition, [(first.key, first.value), (b"", b"no record of memfold's")]
            )
            await writer.append(COMMANDS, partition, [(b"nobody", b"\xc3\x01neither")])
    finally:
        await asyncio.to_thread(writer.close)
