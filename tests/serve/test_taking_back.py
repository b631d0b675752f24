"""revert and revoke over a running stack: what is shown, what history says, who is refused, and a worker that is killed meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from random import Random
from typing import Any

import pytest

from memfold import AsyncMemory
from memfold.memory.errors import CommandRejected, InvalidInput, UnknownMemory
from memfold.memory.ports import Receipt
from memfold.memory.review_mark import KEY
from memfold.schemas.keystore import KeyStore
from memfold.schemas.opening import open_event
from memfold.schemas.partitions import EVENTS
from memfold.serve.settings import Settings
from tests.serve.checks import everything_holds, reader_of, records
from tests.serve.stacks import pid_of, running_in
from tests.serve.test_cli import parsed, run

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def alex() -> str:
    return f"alex-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def other_tenant(stack: Settings) -> AsyncIterator[AsyncMemory]:
    async with AsyncMemory(home=stack.home, tenant="zeta") as memory:
        yield memory


async def shown(memory: AsyncMemory, user: str) -> tuple[list[str], list[tuple[str, str, str]]]:
    found = await memory.get_all(user_id=user)
    relations = [(r["source"], r["relationship"], r["target"]) for r in found["relations"]]
    return [one["memory"] for one in found["results"]], sorted(relations)


def id_of(done: dict[str, Any]) -> str:
    return str(done["results"][0]["id"])


async def test_a_memory_says_again_what_it_said_and_history_says_why(memory: AsyncMemory, alex: str) -> None:
    one = id_of(await memory.add("I work at Google", user_id=alex))
    before = await shown(memory, alex)
    await memory.update(one, "I work at Initech")
    assert await shown(memory, alex) != before
    done = await memory.revert(one, "a slip", actor_id="kim")
    assert await shown(memory, alex) == before
    assert [(r["event"], r["memory"], r["previous_memory"]) for r in done["results"]] == [
        ("UPDATE", "I work at Google", "I work at Initech")
    ]
    history = await memory.history(one)
    assert [(v["event"], v["new_memory"], v["reason"]) for v in history] == [
        ("ADD", "I work at Google", None),
        ("UPDATE", "I work at Initech", None),
        ("UPDATE", "I work at Google", "reverted by kim: a slip"),
    ]
    (text,) = [part for part in (await memory.audit.blame(one))["parts"] if part["part"] == "text"]
    assert text["decision"]["reason"] == "reverted by kim: a slip"


async def test_a_deleted_memory_is_back_and_is_found(memory: AsyncMemory, alex: str) -> None:
    one = id_of(await memory.add("I work at Google", user_id=alex))
    before, created = await shown(memory, alex), (await memory.get(one) or {})["created_at"]
    await memory.delete(one)
    await memory.revert(one, "it was right")
    assert await shown(memory, alex) == before
    found = (await memory.search("Where do I work?", user_id=alex))["results"]
    assert [(r["id"], r["version"], r["created_at"]) for r in found] == [(one, 3, created)]
    assert await memory.audit.as_of("2100-01-01", user_id=alex) == await memory.audit.as_of("2100-01-02", user_id=alex) | {
        "at": "2100-01-01T00:00:00+00:00"
    }  # fmt: skip


async def test_an_event_is_undone_whole_and_only_once(memory: AsyncMemory, alex: str) -> None:
    done = await memory.add_many([{"messages": "one"}, {"messages": "two"}], user_id=alex, infer=False)
    command = done["receipts"][0]["command_id"]
    assert len((await memory.revert(command, "both wrong"))["results"]) == 2
    assert await shown(memory, alex) == ([], [])
    with pytest.raises(CommandRejected, match=r"nothing that rests on .* is left to undo"):
        await memory.revert(command, "again")


async def test_a_revoke_of_an_agent_shows_what_rests_on_it_and_undoes_it(
    memory: AsyncMemory, alex: str
) -> None:
    await memory.add("I work at Google", user_id=alex)
    before = await shown(memory, alex)
    evil = f"evil-{alex}"
    poison = id_of(await memory.add("Sarah works at Initech", user_id=alex, agent_id=evil))
    gone = id_of(await memory.add("wire it to account 666", user_id=alex, agent_id=evil, infer=False))
    kept = await memory.update(poison, "Sarah works at Hooli")
    looked = await memory.revoke(actor=evil, reason="a broken agent", dry_run=True)
    (tree,) = looked["tree"]
    assert tree["who"] == alex
    assert {(m["id"], m["event"]) for m in tree["memories"]} == {(poison, "UPDATE"), (gone, "DELETE")}
    (review,) = [one for m in tree["memories"] for one in m["reviews"]]
    assert review["command_id"] == kept["receipt"]["command_id"]
    assert "receipts" not in looked
    done = await memory.revoke(actor=evil, reason="a broken agent", actor_id="kim")
    assert [one["memory_id"] for one in done["reviews"]] == [poison]
    texts, relations = await shown(memory, alex)
    assert texts == [*before[0], "Sarah works at Hooli"]
    assert relations == sorted([*before[1], ("Sarah", "WORKS_AT", "Hooli")])
    assert KEY in (await memory.get(poison) or {})["metadata"]
    assert (await memory.history(gone))[-1]["reason"] == "revoked by kim: a broken agent"
    again = await memory.revoke(actor=evil, reason="a broken agent")
    assert (again["tree"], again["receipts"]) == ([], [])


async def test_more_memories_than_one_event_may_change_are_done_in_parts(
    memory: AsyncMemory, alex: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memfold.audit.resting.AT_ONCE", 10)
    await memory.add_many([{"messages": f"fact {n}"} for n in range(35)], user_id=alex, infer=False)
    before = await shown(memory, alex)
    cleared = (await memory.delete_all(user_id=alex))["receipts"][0]["command_id"]
    done = await memory.revoke([cleared], reason="a slip")
    assert len(done["receipts"]) == 4
    assert sorted((await shown(memory, alex))[0]) == sorted(before[0])


async def test_another_tenants_memories_and_commands_are_not_there(
    memory: AsyncMemory, other_tenant: AsyncMemory, alex: str
) -> None:
    done = await memory.add("I work at Google", user_id=alex)
    before = await shown(memory, alex)
    for wanted in (id_of(done), done["receipt"]["command_id"]):
        with pytest.raises(UnknownMemory, match="in this tenant; nothing was written"):
            await other_tenant.revert(wanted, "not mine")
    with pytest.raises(LookupError):
        await other_tenant.revoke([done["receipt"]["command_id"]], reason="not mine")
    assert (await other_tenant.revoke(actor=alex, reason="not mine"))["tree"] == []
    assert await shown(memory, alex) == before


async def test_what_is_asked_has_to_be_clear(memory: AsyncMemory) -> None:
    wrongs: tuple[dict[str, Any], ...] = (
        {},
        {"commands": ["a"], "actor": "b"},
        {"commands": ["a"], "since": "2026-01-01"},
    )
    for wrong in wrongs:
        with pytest.raises(InvalidInput):
            await memory.revoke(reason="why", **wrong)
    with pytest.raises(InvalidInput, match="reason"):
        await memory.revoke(["a"], reason=" ")


async def test_on_the_command_line(stack: Settings, memory: AsyncMemory, alex: str) -> None:
    done = await memory.add("wire it to account 666", user_id=alex, agent_id="evil", infer=False)
    command = done["receipt"]["command_id"]
    asked = ["replay", "revoke", "--command", command, "--reason", "poisoned"]
    assert "wire it to account 666" in await asyncio.to_thread(run, stack, *asked, "--dry-run")
    undone = await asyncio.to_thread(parsed, stack, *asked, "--yes")
    assert [one["event"] for one in undone["results"]] == ["DELETE"]
    back = await asyncio.to_thread(parsed, stack, "revert", id_of(done), "--reason", "it was right")
    assert [one["event"] for one in back["results"]] == ["RESTORE"]


@pytest.fixture(scope="module")
def shaken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with running_in(tmp_path_factory.mktemp("shaken"), separate=True, patience=90.0) as settings:
        yield settings


def answers(settings: Settings, command_id: str) -> list[bool]:
    """Of each event that answers a command, whether it takes something back."""
    keys, reader = KeyStore(settings.folder / "keys.db", settings.key_encrypting_key()), reader_of(settings)
    try:
        events = [
            open_event(one, keys) for p in range(settings.partitions) for one in records(reader, EVENTS, p)
        ]
    finally:
        reader.close()
        keys.close()
    return [bool(e.body.taken_back) for e in events if e.envelope.command_id == command_id]


@pytest.mark.long
async def test_a_worker_that_is_killed_while_it_decides_a_revoke_compensates_once(shaken: Settings) -> None:
    acknowledged: list[str] = []
    async with AsyncMemory(home=shaken.home, patience=90.0) as memory:
        for number, moment in enumerate((None, 0.0, 0.02, 0.1)):
            user, key = f"user-{number}", f"revert-{number}"
            await memory.add("innocent", user_id=user, infer=False)
            items = [{"messages": f"poison {n}"} for n in range(100)]
            done = await memory.add_many(items, user_id=user, infer=False)
            command = done["receipts"][0]["command_id"]
            worker = pid_of(shaken, "worker-decide")
            os.kill(worker, signal.SIGSTOP)
            asked = await memory.revert(command, "poisoned", wait=False, idempotency_key=key)
            # Killed while it stands still, the worker has certainly not decided; let go first, it may be anywhere.
            if moment is not None:
                os.kill(worker, signal.SIGCONT)
                await asyncio.sleep(moment)
            os.kill(worker, signal.SIGKILL)
            receipt = asked["receipts"][0]
            acknowledged += [command, receipt["command_id"]]
            caller = await memory._ready()
            body = await caller.writing.log.outcome(Receipt(**receipt), 90.0)
            assert (body.outcome, len(body.operations)) == ("decided", 100)
            assert (await shown(memory, user))[0] == ["innocent"]
            with pytest.raises(CommandRejected):
                await memory.revert(command, "poisoned")
    await everything_holds(shaken, acknowledged)
    for command_id in acknowledged[1::2]:
        assert answers(shaken, command_id) == [True]


PART = 10
_IN_PARTS = (
    "import sys; import memfold.audit.resting as resting; resting.AT_ONCE = int(sys.argv.pop(1)); "
    "from memfold.serve.cli_whole import app; app()"
)


async def left_of(memory: AsyncMemory, user: str) -> int:
    return len((await memory.get_all(user_id=user, limit=1_000))["results"]) - 1


async def killed_in_the_middle(stack: Settings, memory: AsyncMemory, moment: float) -> int:
    """Kill a revoke of twenty parts so many seconds after its first part is seen, repeat it; how much the first one left."""
    user = f"parts-{uuid.uuid4().hex[:8]}"
    evil, count = f"evil-{user}", 20 * PART
    await memory.add("I work at Google", user_id=user)
    before = await shown(memory, user)
    items = [{"messages": f"poison {n}"} for n in range(count)]
    written = await memory.add_many(items, user_id=user, agent_id=evil, infer=False)
    words = [str(PART), "replay", "revoke", "--actor", evil, "--reason", "broken", "--yes", "--json"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _IN_PARTS, *words, "--home", str(stack.home), stdout=asyncio.subprocess.DEVNULL
    )
    while process.returncode is None and await left_of(memory, user) == count:
        continue
    # The moment itself is what is drawn: nothing is waited for.
    await asyncio.sleep(moment)
    if process.returncode is None:
        process.kill()
    assert await process.wait() in (0, -signal.SIGKILL)
    await everything_holds(stack, [one["command_id"] for one in written["receipts"]])
    left = await left_of(memory, user)
    assert left % PART == 0, "half a part was undone"
    done = await memory.revoke(actor=evil, reason="broken")
    assert len(done["results"]) == left
    assert await shown(memory, user) == before
    await everything_holds(stack, [one["command_id"] for one in done["receipts"]])
    assert (await memory.revoke(actor=evil, reason="broken"))["receipts"] == []
    return left


async def test_a_revoke_that_is_killed_between_its_parts_is_finished_by_the_next(
    stack: Settings, memory: AsyncMemory
) -> None:
    await killed_in_the_middle(stack, memory, 0.0)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_a_revoke_that_is_killed_ten_times_is_finished_by_the_next(
    stack: Settings, memory: AsyncMemory
) -> None:
    moments = Random()
    left = [await killed_in_the_middle(stack, memory, moments.uniform(0, 0.5)) for _ in range(10)]
    assert any(left), "every revoke had ended before it was killed"
