"""Reads are events: each verb over a running stack leaves its own, on a real Kafka."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from memfold import AsyncMemory, Memory
from memfold.memory.errors import InvalidInput, ReadDenied, UnknownMemory
from memfold.schemas.records import Envelope, MemoryRead
from memfold.serve.settings import Settings
from memfold.serve.verifying import verify_served
from tests.serve.checks import settled
from tests.serve.read_events import access_records, read_events
from tests.serve.test_cli import parsed, run

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def strict(stack: Settings) -> AsyncIterator[AsyncMemory]:
    """Its reads are in the log when they are answered: nothing to wait for."""
    async with AsyncMemory(home=stack.home, audit={"reads": "strict", "actor": "bot-7"}) as memory:
        yield memory


def somebody() -> str:
    return f"reader-{uuid.uuid4().hex[:8]}"


async def added(memory: AsyncMemory, user: str, text: str, **scope: Any) -> str:
    done = await memory.add(text, user_id=user, infer=False, **scope)
    return str(done["results"][0]["id"])


def users_reads(stack: Settings, user: str) -> list[tuple[Envelope, MemoryRead]]:
    return read_events(stack, "user", user)


Ask = Callable[[AsyncMemory, str, str], Awaitable[Any]]
VERBS: dict[str, tuple[Ask, int, bool]] = {
    "search": (lambda m, u, one: m.search("tea", user_id=u, threshold=0), 1, False),
    "get": (lambda m, u, one: m.get(one), 1, False),
    "get_all": (lambda m, u, one: m.get_all(user_id=u), 1, False),
    "relations": (lambda m, u, one: m.relations(user_id=u), 0, False),
    "history": (lambda m, u, one: m.history(one), 1, False),
    "explain": (lambda m, u, one: m.explain(one), 1, False),
    "export": (lambda m, u, one: m.export(user_id=u), 1, True),
    "sparql": (lambda m, u, one: m.sparql("ASK { ?s ?p ?o }", user_id=u), 1, True),
    "sql": (lambda m, u, one: m.audit.sql("SELECT text FROM versions", user_id=u), 1, False),
    "blame": (lambda m, u, one: m.audit.blame(one), 1, False),
    "diff": (lambda m, u, one: m.audit.diff("2020-01-01", "2100-01-01", user_id=u), 1, False),
    "timeline": (lambda m, u, one: m.audit.timeline(user_id=u), 1, False),
    "as_of": (lambda m, u, one: m.audit.as_of("2100-01-01", user_id=u), 1, False),
    "log": (lambda m, u, one: m.audit.log(user_id=u), 1, False),
    "reads": (lambda m, u, one: m.audit.reads(user_id=u), 0, False),
}
"""Of each verb: how it is asked, how many results there are, and whether it gives all of the user's ('*')."""


@pytest.mark.parametrize("verb", VERBS)
async def test_each_verb_leaves_exactly_one_read_event(
    stack: Settings, strict: AsyncMemory, verb: str
) -> None:
    user = somebody()
    one = await added(strict, user, "tea is what I drink")
    ask, count, everything = VERBS[verb]
    before = len(access_records(stack))
    with strict.reading(purpose="support"):
        await ask(strict, user, one)
    assert len(access_records(stack)) == before + 1
    ((envelope, body),) = users_reads(stack, user)
    assert (body.verb, body.decision, body.error) == (verb, "allowed", "")
    assert (body.actor, body.purpose, body.strict) == ("bot-7", "support", True)
    assert body.count == count
    assert body.duration_ms > 0
    gives = verb not in ("relations", "reads")
    assert envelope.memory_ids == (["*"] if everything else [one] if gives else [])


async def test_what_rests_on_a_command_is_shown_to_a_reader(stack: Settings, strict: AsyncMemory) -> None:
    user = somebody()
    await added(strict, user, "coffee is what I drink")
    one = await added(strict, user, "tea is what I drink", agent_id="evil")
    await strict.revoke(actor="evil", user_id=user, reason="a broken agent", dry_run=True)
    ((envelope, body),) = users_reads(stack, user)
    assert (body.verb, body.decision, body.count) == ("revoke", "allowed", 1)
    assert envelope.memory_ids == [one]


async def test_an_event_that_is_shown_and_one_that_is_followed_are_reads(
    stack: Settings, strict: AsyncMemory
) -> None:
    user = somebody()
    one = await added(strict, user, "tea")
    (newest,) = await strict.audit.log(user_id=user, limit=1)
    await strict.audit.show(newest["event_id"])
    await anext(strict.audit.follow(user_id=user, after={}))
    verbs = [(body.verb, envelope.memory_ids) for envelope, body in users_reads(stack, user)]
    assert verbs == [("log", [one]), ("show", [one]), ("follow", [one])]


async def test_what_was_asked_stands_nowhere_in_clear(
    stack: Settings, strict: AsyncMemory, caplog: pytest.LogCaptureFixture
) -> None:
    user, needle = somebody(), f"needle{uuid.uuid4().hex}"
    await added(strict, user, "tea")
    await strict.search(needle, user_id=user, filters={"topic": needle})
    with pytest.raises(InvalidInput):
        await strict.sparql(f"SELECT {needle} nonsense", user_id=user)
    with pytest.raises(InvalidInput):
        await strict.get(needle)
    written = b"".join(record.key + record.value for record in access_records(stack))
    for text in (needle, user, "bot-7"):
        assert text.encode() not in written
    opened = [body for _, body in users_reads(stack, user)]
    assert needle not in repr(opened)
    assert needle not in caplog.text
    logs = b"".join(path.read_bytes() for path in (stack.folder / "logs").glob("*"))
    assert needle.encode() not in logs


async def test_the_same_question_has_the_same_hash_and_another_one_another(
    stack: Settings, strict: AsyncMemory
) -> None:
    one, other = somebody(), somebody()
    for user in (one, other):
        await added(strict, user, "tea")
        await strict.search("what do I drink?", user_id=user)
    await strict.search("what did I drink?", user_id=one)
    first, second = (body.query_hash for _, body in users_reads(stack, one))
    ((_, alike),) = users_reads(stack, other)
    assert len(first) == 32
    assert first != second
    assert first == alike.query_hash


async def test_failed_reads_are_on_record_with_their_error(stack: Settings, strict: AsyncMemory) -> None:
    user = somebody()
    await added(strict, user, "tea")
    with pytest.raises(InvalidInput):
        await strict.search("  ", user_id=user)
    with pytest.raises(InvalidInput):
        await strict.search("tea", user_id=user, as_of="2100-01-01")
    reads = [(b.verb, b.decision, b.error, b.count) for _, b in users_reads(stack, user)]
    assert reads == [("search", "failed", "InvalidInput", 0)] * 2
    before = len(read_events(stack, "tenant", stack.tenant))
    with pytest.raises(UnknownMemory):
        await strict.explain(str(uuid.uuid4()))
    with pytest.raises(InvalidInput):
        await strict.get_all()
    reads = [
        (b.verb, b.decision, b.error, b.count) for _, b in read_events(stack, "tenant", stack.tenant)[before:]
    ]
    assert reads == [("explain", "failed", "UnknownMemory", 0), ("get_all", "failed", "InvalidInput", 0)]


async def test_a_purpose_that_is_not_allowed_reads_nothing_and_is_on_record(stack: Settings) -> None:
    user = somebody()
    audit = {"reads": "strict", "purposes": ["care"], "purpose": "care"}
    async with AsyncMemory(home=stack.home, audit=audit) as memory:
        one = await added(memory, user, "tea")
        assert await memory.get(one) is not None
        with (
            memory.reading(purpose="marketing"),
            pytest.raises(ReadDenied, match=r"'marketing' is not allowed.*care"),
        ):
            await memory.search("tea", user_id=user)
    allowed, denied = users_reads(stack, user)
    assert (allowed[1].decision, allowed[1].purpose) == ("allowed", "care")
    assert (denied[1].decision, denied[1].purpose) == ("denied", "marketing")
    assert (denied[1].error, denied[1].count, denied[0].memory_ids) == ("ReadDenied", 0, [])


async def test_a_read_of_an_agents_memories_is_on_the_log_of_each_user(
    stack: Settings, strict: AsyncMemory
) -> None:
    """Also where only a relation is given, which does not say whose it is."""
    agent, one, other = somebody(), somebody(), somebody()
    for user in (one, other):
        await strict.add("I met Sarah from Google", user_id=user, agent_id=agent)
    found = await strict.get_all(agent_id=agent)
    around = await strict.relations(agent_id=agent)
    assert {result["user_id"] for result in found["results"]} == {one, other}
    mine, theirs = users_reads(stack, one), users_reads(stack, other)
    for reads, user in ((mine, one), (theirs, other)):
        ids = {result["id"] for result in found["results"] if result["user_id"] == user}
        assert [body.verb for _, body in reads] == ["get_all", "relations"]
        assert all(set(envelope.memory_ids) == ids for envelope, _ in reads)
        assert [body.count for _, body in reads] == [len(found["results"]), len(around["relations"])]
        assert {body.agent_id for _, body in reads} == {agent}
    assert [e.command_id for e, _ in mine] == [e.command_id for e, _ in theirs]
    assert not {e.record_id for e, _ in mine} & {e.record_id for e, _ in theirs}


async def test_a_state_of_everybody_is_on_the_log_of_each(stack: Settings, strict: AsyncMemory) -> None:
    users = somebody(), somebody()
    ids = [await added(strict, user, "tea") for user in users]
    await strict.audit.as_of("2100-01-01")
    await strict.audit.memories_as_of("2100-01-01")
    for user, one in zip(users, ids, strict=True):
        reads = [(body.verb, envelope.memory_ids) for envelope, body in users_reads(stack, user)]
        assert reads == [("as_of", [one])] * 2


async def test_nobody_becomes_known_by_being_asked_for(stack: Settings, strict: AsyncMemory) -> None:
    user, run_id = somebody(), somebody()
    before = len(read_events(stack, "tenant", stack.tenant))
    assert (await strict.search("tea", user_id=user, run_id=run_id))["results"] == []
    assert (await strict.audit.sql("SELECT id FROM subjects WHERE id = 'x'")).rows == []
    (search, sql) = read_events(stack, "tenant", stack.tenant)[before:]
    assert (search[1].verb, sql[1].verb) == ("search", "sql")
    assert search[1].run_id is None, "the tenant's key outlives everybody's"
    everybody = (await strict.audit.sql("SELECT id FROM subjects")).rows
    assert user not in {row["id"] for row in everybody}


async def test_off_records_nothing(stack: Settings) -> None:
    user = somebody()
    async with AsyncMemory(home=stack.home, audit={"reads": "off"}) as memory:
        await added(memory, user, "tea")
        await memory.search("tea", user_id=user)
    assert users_reads(stack, user) == []


async def test_by_default_reads_are_recorded_without_waiting(stack: Settings) -> None:
    user = somebody()
    async with AsyncMemory(home=stack.home) as memory:
        one = await added(memory, user, "tea")
        for _ in range(50):
            await memory.get(one)
    reads = users_reads(stack, user)
    assert len(reads) == 50, "closing waits for what is on its way"
    assert {(b.strict, b.actor.partition(":")[0]) for _, b in reads} == {(False, "os")}


def test_the_view_and_the_command_line_tell_who_read(stack: Settings) -> None:
    user = somebody()
    with Memory(home=stack.home, audit={"reads": "strict"}) as memory:
        done = memory.add("tea is what I drink", user_id=user, infer=False)
        one = done["results"][0]["id"]
        with memory.reading(purpose="billing", actor="clerk"):
            memory.get(one)
        memory.export(user_id=user)
        told = memory.audit.reads(user_id=user)
        assert [(r["verb"], r["who"] == "clerk", r["purpose"], r["whose"]) for r in told] == [
            ("export", False, "", user),
            ("get", True, "billing", user),
        ]
        query = "SELECT verb, s.id, memory_ids FROM reads JOIN subjects s USING (subject) ORDER BY time"
        rows = memory.audit.sql(query, user_id=user).rows
        assert [(row["verb"], row["id"]) for row in rows] == [
            ("get", user),
            ("export", user),
            ("reads", user),
        ]
        of_one = memory.audit.sql("SELECT verb FROM reads", user_id=user, memory_id=one).rows
        assert [row["verb"] for row in of_one] == ["get", "export"]
    shown = run(stack, "audit", "reads", "--user", user)
    assert "clerk" in shown
    assert "billing" in shown
    assert len(parsed(stack, "audit", "reads", "--user", user)) == 6
    assert len(parsed(stack, "audit", "reads", "--user", user, "-n", "2")) == 2


async def test_reads_are_archived_sealed_and_verified_and_no_projection_knows_them(
    stack: Settings, strict: AsyncMemory
) -> None:
    user = somebody()
    one = await added(strict, user, "tea")
    await strict.get(one)
    await settled(stack)
    compared = (await asyncio.to_thread(verify_served, stack, "kafka")).compared
    assert compared
    assert all(each.equal for each in compared)
    before = len(access_records(stack))
    sealed = await asyncio.to_thread(parsed, stack, "audit", "seal")
    sizes = {head["tree"]: head["size"] for head in sealed["heads"]}
    assert sum(size for tree, size in sizes.items() if tree.startswith("memfold.access/")) >= before
    (read,) = await strict.audit.reads(user_id=user)
    assert read["memory_ids"] == [one], "the same from the archive"
    report = await asyncio.to_thread(parsed, stack, "audit", "verify")
    assert report["findings"] == []
