"""A past that was built and opened answers as the stack does with `as_of`, and nothing can be written to it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from memfold import AsyncMemory, Memory
from memfold.memory.errors import InvalidInput, ReadDenied, ReadNotRecorded, ReadOnly
from memfold.replay.past_manifest import manifest_of
from memfold.schemas.errors import WrongKey
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from memfold.serve.embedded import EmbeddedStack
from memfold.serve.pasts import past_at
from memfold.serve.settings import Settings, settings_from
from tests.serve.checks import settled
from tests.serve.test_cli import parsed, run

SAID = (
    "I met Sarah from Google",
    "I like coffee",
    "Actually, I prefer tea now",
    "My sister Anna lives in Oslo",
    "I work at Siemens",
    "I moved to Berlin",
)


async def live(memory: AsyncMemory, random: Random, users: list[str], agent: str) -> None:
    """A step of a random history."""
    user, verb = (
        random.choice(users),
        random.choice(["add", "add", "add", "many", "update", "delete", "clear"]),
    )
    held = (await memory.get_all(user_id=user))["results"]
    if verb == "many":
        items = [{"messages": f"fact {random.randint(0, 99)} of {user}"} for _ in range(3)]
        await memory.add_many(items, user_id=user, agent_id=agent, infer=False)
    elif verb == "clear":
        if random.random() < 0.3:
            await memory.delete_all(user_id=user)
    elif verb == "add" or not held:
        await memory.add(random.choice(SAID), user_id=user, agent_id=agent)
    elif verb == "update":
        await memory.update(random.choice(held)["id"], f"It is {random.choice(SAID)}")
    else:
        await memory.delete(random.choice(held)["id"])


async def answers(
    memory: AsyncMemory, users: list[str], agent: str, as_of: datetime | None
) -> dict[str, Any]:
    """Everything that reads and knows `as_of`."""
    found: dict[str, Any] = {}
    scopes: list[dict[str, Any]] = [*({"user_id": user} for user in users), {"agent_id": agent}]
    for scope in scopes:
        key = str(scope)
        found[key] = await memory.get_all(**scope, limit=1_000, as_of=as_of)
        for query in ("what do I drink", "fact 7"):
            asked = await memory.search(query, **scope, threshold=None, as_of=as_of)
            found[f"{key} {query}"] = asked
        found[f"{key} around"] = await memory.relations(**scope, ended=True, as_of=as_of)
        for one in found[key]["results"]:
            found[one["id"]] = await memory.get(one["id"], as_of=as_of)
    return found


async def pause() -> datetime:
    """A moment that no record has: the log's times are whole milliseconds."""
    await asyncio.sleep(0.002)
    moment = datetime.now(UTC).replace(microsecond=datetime.now(UTC).microsecond // 1000 * 1000 + 500)
    await asyncio.sleep(0.002)
    return moment


def built(stack: Settings, moment: datetime, folder: Path, source: str = "kafka") -> Path:
    past_at(stack, moment, folder, source)
    return folder


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.timeout(300)
async def test_the_past_answers_as_the_stack_does_as_of_then(
    stack: Settings, memory: AsyncMemory, tmp_path: Path
) -> None:
    seed = Random().randrange(2**32)
    random, tag = Random(seed), uuid.uuid4().hex[:8]
    users, agent = [f"u{number}-{tag}" for number in range(3)], f"a-{tag}"
    moments: list[datetime] = []
    for step in range(14):
        if step == 7:
            moments.append(await pause())
        await live(memory, random, users, agent)
    moments.append(await pause())
    await settled(stack)
    for number, moment in enumerate(moments):
        expected = await answers(memory, users, agent, moment)
        folder = await asyncio.to_thread(built, stack, moment, tmp_path / f"kafka{number}")
        async with AsyncMemory.open(folder) as past:
            assert await answers(past, users, agent, None) == expected, f"seed {seed}, moment {moment}"
            assert await answers(past, users, agent, moment) == expected
            if number:
                earlier = moments[number - 1]
                assert await answers(past, users, agent, earlier) == await answers(
                    memory, users, agent, earlier
                )
    kafka = manifest_of(tmp_path / f"kafka{len(moments) - 1}")
    archived = await asyncio.to_thread(past_at, stack, moments[-1], tmp_path / "archive", "archive")
    assert (archived.digests, archived.ends) == (kafka.digests, kafka.ends)


@pytest.mark.timeout(120)
async def test_history_explain_and_the_graph_end_at_the_moment(
    stack: Settings, memory: AsyncMemory, tmp_path: Path
) -> None:
    user = f"grown-{uuid.uuid4().hex[:8]}"
    one = (await memory.add("I like coffee", user_id=user))["results"][0]["id"]
    moment = await pause()
    history, explained = await memory.history(one), await memory.explain(one)
    graph = await memory.export(user_id=user, format="n-quads")
    query = "SELECT ?target WHERE { ?source relationship:LIKES ?target }"
    rows = await memory.sparql(query, user_id=user)
    await memory.add("Actually, I prefer tea now", user_id=user)
    assert len(await memory.history(one)) == 2
    await asyncio.to_thread(built, stack, moment, tmp_path / "past")
    async with AsyncMemory.open(tmp_path / "past") as past:
        assert await past.history(one) == history
        assert await past.explain(one) == explained
        assert await past.sparql(query, user_id=user) == rows
        assert sorted((await past.export(user_id=user, format="n-quads")).splitlines()) == sorted(
            graph.splitlines()
        )
        for late in (
            past.get_all(user_id=user, as_of=datetime.now(UTC)),
            past.relations(user_id=user, as_of=datetime.now(UTC)),
        ):
            with pytest.raises(InvalidInput, match="later than this past"):
                await late
        with pytest.raises(InvalidInput, match="ask the full log"):
            await past.audit.diff(user_id=user, start=moment - timedelta(hours=1), end=moment)
        with pytest.raises(InvalidInput, match="ask the full log"):
            await past.export_memories(user_id=user)
        with pytest.raises(InvalidInput, match="nothing changes in a past"):
            await past.watch(user_id=user).open()


@pytest.mark.timeout(120)
async def test_every_verb_that_writes_is_refused_and_reading_changes_no_byte(
    stack: Settings, memory: AsyncMemory, tmp_path: Path
) -> None:
    user = f"kept-{uuid.uuid4().hex[:8]}"
    one = (await memory.add("I met Sarah from Google", user_id=user))["results"][0]["id"]
    folder = await asyncio.to_thread(built, stack, await pause(), tmp_path / "past")
    before = content(folder)
    async with AsyncMemory.open(folder) as past, AsyncMemory.open(folder) as beside:
        nobody = f"nobody-{user}"
        for call in (
            past.add("I like tea", user_id=nobody),
            past.add_many([{"messages": "I like tea"}], user_id=nobody),
            past.update(one, "I met Tom"),
            past.delete(one),
            past.delete_all(user_id=nobody),
            past.retry(),
            past.merge_entities("Sarah", "Tom", user_id=nobody),
            past.split_entity("Sarah", "Tom", user_id=nobody),
            past.import_memories([], source="elsewhere"),
            past.reset(),
        ):
            with pytest.raises(
                ReadOnly, match=r"cannot be changed; nothing was written. To write, use the stack"
            ):
                await call
        assert len((await past.get_all(user_id=user))["results"]) == 1
        assert await beside.get_all(user_id=user) == await past.get_all(user_id=user)
    with closing(KeyStore(stack.folder / "keys.db", stack.key_encrypting_key())) as keys:
        assert keys.known_subject("default", "user", nobody) is None
    assert content(folder) == before
    with Memory.open(str(folder)) as waited:
        assert waited.get_all(user_id=user)["results"][0]["memory"] == "I met Sarah from Google"
        with pytest.raises(ReadOnly):
            waited.delete(one)
    with pytest.raises(InvalidInput, match="nothing can run in it"):
        EmbeddedStack.start(settings_from(home=folder))
    with pytest.raises(InvalidInput, match="is of the tenant 'default', and 'acme' is configured"):
        AsyncMemory.open(folder, tenant="acme")
    with pytest.raises(ReadNotRecorded, match="recorded nowhere"):
        await AsyncMemory.open(folder, audit={"reads": "strict"}).connect()
    with pytest.raises(ReadDenied, match="no purpose was given"):
        async with AsyncMemory.open(folder, audit={"purposes": ("support",)}) as asked:
            await asked.get(one)


def test_what_cannot_be_opened_says_why(stack: Settings, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds no past; make one with"):
        Memory.open(tmp_path)
    past = built(stack, datetime.now(UTC), tmp_path / "past")
    with pytest.raises(InvalidInput, match=r"keys\.db is not there, and a past is read with the key store"):
        Memory.open(past, home=tmp_path / "elsewhere").connect()
    assert not (tmp_path / "elsewhere").exists()
    other = tmp_path / "other"
    other.mkdir()
    with closing(KeyStore(other / "keys.db", os.urandom(32))):
        pass
    with pytest.raises(WrongKey, match="no key opens"):
        Memory.open(past, home=other).connect()
    assert not (other / "key").exists()


def test_on_the_command_line(stack: Settings, tmp_path: Path) -> None:
    user = f"typed-{uuid.uuid4().hex[:8]}"
    parsed(stack, "add", "I like coffee", "--user", user)
    now = datetime.now(UTC).isoformat()
    told = run(stack, "replay", "at", now, "-o", str(tmp_path / "one"))
    assert f'Memory.open("{tmp_path / "one"}")' in told
    found = parsed(stack, "replay", "at", now, "-o", str(tmp_path / "two"), "--from", "archive")
    assert found["source"] == "archive"
    assert len(found["ends"][EVENTS]) == len(found["digests"]["vector"]) == 4
    with pytest.raises(InvalidInput, match=r"holds the past of .* already"):
        run(stack, "replay", "at", now, "-o", str(tmp_path / "one"))
    with pytest.raises(InvalidInput, match="still to come"):
        run(stack, "replay", "at", "2999-01-01", "-o", str(tmp_path / "three"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("x")
    with pytest.raises(InvalidInput, match=r"not empty \(letter.txt is in it\)"):
        run(stack, "replay", "at", now, "-o", str(tmp_path / "mine"))
    assert not (tmp_path / "three").exists()
