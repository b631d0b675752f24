"""A what-if over a running stack: what the report says, what stays as it is, a shadow that is opened, what is refused."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from memfold import AsyncMemory, Memory
from memfold.audit.report import Report
from memfold.memory.errors import InvalidInput, ReadOnly, WhatIfStopped
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import COMMANDS, EVENTS
from memfold.serve.settings import Settings
from tests.emulator.openai_server import OpenAIServer
from tests.serve.checks import reader_of
from tests.serve.test_cli import parsed, run

pytestmark = pytest.mark.timeout(120)
NASTY = '<script src="https://elsewhere.example/x.js"></script>'


@pytest.fixture
def tenant() -> str:
    return f"whatif-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def mine(stack: Settings, tenant: str) -> AsyncIterator[AsyncMemory]:
    async with AsyncMemory(home=stack.home, tenant=tenant) as memory:
        yield memory


def ends(stack: Settings) -> dict[tuple[str, int], int]:
    reader = reader_of(stack)
    places = [(topic, partition) for topic in (COMMANDS, EVENTS) for partition in range(stack.partitions)]
    try:
        return {place: end for place, (_, end) in reader.all_bounds(places).items()}
    finally:
        reader.close()


def facts(made: Report) -> set[tuple[str, str | None, str | None]]:
    return {(row["what"], row["recorded"], row["what if"]) for row in made.json()["facts"]}


async def test_another_model_is_told_apart_and_nothing_real_moves(
    stack: Settings, mine: AsyncMemory, tenant: str, tmp_path: Path
) -> None:
    for text in ("I like coffee", "I live in Oslo", f"I wrote {NASTY} once"):
        await mine.add(text, user_id="alex")
    await mine.add("I like tea", user_id="kim")
    view, before = await mine.get_all(user_id="alex"), ends(stack)
    same = await mine.what_if()
    assert same.json()["facts"] == same.json()["relations"] == same.json()["commands"] == []
    assert same.json()["about"]["commands decided again"] == 4
    async with OpenAIServer() as server:
        server.will_obey(
            messages='{"facts": [{"text": "I like coffee", "kind": "preferences", "message": 0, "confidence": 0.9, '
            '"when": "", "relations": []}]}'
        )
        asked: dict[str, Any] = {"llm": "openai/emulated", "base_url": server.base_url, "user_id": "alex"}
        guess = await mine.what_if(**asked, dry_run=True)
        assert guess.json()["about"]["calls that it would make, about"] >= 3
        assert server.requests.total() == 0
        folder = tmp_path / "shadow"
        made = await mine.what_if(**asked, prices=(1.0, 2.0), shadow=folder)
    told = made.json()
    recorded = {row["memory"] for row in view["results"]}
    assert {then for what, then, _ in facts(made) if what in ("lost", "changed")} == recorded - {
        "I like coffee"
    }
    assert told["about"]["facts the same"] == 1
    assert told["about"]["calls made now"] == server.requests.total()
    assert told["about"]["cost paid now"] >= 0
    assert ("alex", "lost", "alex", "LIVES_IN", "Oslo") in [tuple(row.values()) for row in told["relations"]]
    page = made.html()
    assert "<script" not in page
    assert "&lt;script" in page
    assert "default-src 'none'" in page
    assert ends(stack) == before
    assert await mine.get_all(user_id="alex") == view
    async with AsyncMemory.open(folder, home=stack.home, tenant=tenant) as shadow:
        assert [row["memory"] for row in (await shadow.get_all(user_id="alex"))["results"]] == [
            "I like coffee"
        ]
        assert [row["memory"] for row in (await shadow.get_all(user_id="kim"))["results"]] == ["I like tea"]
        with pytest.raises(ReadOnly, match="would be known"):
            await shadow.add("I like juice", user_id="alex")


async def test_what_cannot_be_decided_is_told(stack: Settings, mine: AsyncMemory, tenant: str) -> None:
    await mine.add("I like coffee", user_id="alex")
    await mine.add("I like tea", user_id="kim")
    keys = KeyStore(stack.folder / "keys.db", stack.key_encrypting_key())
    try:
        keys.destroy(keys.subject_of(tenant, "user", "kim"))
    finally:
        keys.close()
    about = (await mine.what_if()).json()["about"]
    assert (about["commands decided again"], about["not decidable"]) == (1, "1 erased")
    with pytest.raises(InvalidInput, match="nothing was ever said by user_id 'nobody'"):
        await mine.what_if(user_id="nobody")
    with pytest.raises(WhatIfStopped, match="see to the endpoint"):
        await mine.what_if(llm="openai/m", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(InvalidInput, match="goes to the end of the log"):
        await mine.what_if(until="2100-01-01", shadow="x")


def test_the_command_line_prints_a_table_and_writes_a_page(stack: Settings, tmp_path: Path) -> None:
    user = f"alex-{uuid.uuid4().hex[:8]}"
    with Memory(home=stack.home) as memory:
        memory.add("I like coffee", user_id=user)
    page = tmp_path / "page.html"
    told = parsed(stack, "replay", "what-if", "--user", user, "--html", str(page), "--json")
    assert told["about"]["commands decided again"] == 1
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "facts gained: 0" in run(stack, "replay", "what-if", "--user", user)
    with pytest.raises(InvalidInput, match=r"0\.15,0\.60"):
        run(stack, "replay", "what-if", "--user", user, "--price", "cheap")
