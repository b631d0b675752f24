"""A home whose key store is in a real PostgreSQL: everything that opens keys finds them there, and nothing makes others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from memfold import AsyncMemory
from memfold.infra.ports import free_ports
from memfold.schemas.errors import KeysRefused, KeysUnreachable, WrongKey
from memfold.schemas.key_rows import Postgres
from memfold.schemas.key_rows_sqlite import SqliteKeyRows
from memfold.schemas.keystore import rows_at
from memfold.serve.embedded import environment_of
from memfold.serve.keys import ELSEWHERE, FILE
from memfold.serve.moving_keys import MOVED, move_keys
from memfold.serve.settings import Settings, settings_from
from tests.serve.adding import add_until_there, memory_of
from tests.serve.checks import everything_holds
from tests.serve.stacks import pid_of, running_in
from tests.stores.postgres import binaries, postgres, readable_folder

pytestmark = pytest.mark.skipif(
    binaries() is None, reason="no PostgreSQL: install postgresql-15-pgvector, or pgserver from PyPI"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    with readable_folder() as folder:
        yield folder / "postgres"


def memfold(settings: Settings, *words: str) -> str:
    argv = [sys.executable, "-m", "memfold.serve.cli", *words]
    done = subprocess.run(
        argv, env={**os.environ, **environment_of(settings)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_stack_whose_keys_are_in_postgres(folder: Path, tmp_path: Path) -> None:
    with postgres(folder) as address, running_in(tmp_path / "home", key_store=address) as settings:
        async with memory_of(settings) as memory:
            added = await memory.add("My sister lives in Oslo", user_id="alex")
        assert not (settings.folder / FILE).exists()
        assert "Oslo" in memfold(settings, "search", "where is my sister", "--user", "alex")
        assert "the key store in PostgreSQL" in memfold(settings, "doctor")
        # Its processes are begun anew, and get the place with their task.
        memfold(settings, "replay", "rebuild", "vector", "graph")
        await everything_holds(settings, [added["receipt"]["command_id"]])
        with pytest.raises(WrongKey, match="MEMFOLD_KEY_STORE is not set; set it to its address"):
            await AsyncMemory(home=settings.home).connect()
    with (
        pytest.raises(KeysUnreachable, match="does not answer"),
        running_in(settings.folder, key_store=address),
    ):
        ...


async def test_keys_are_taken_to_postgres_while_nothing_runs(folder: Path, tmp_path: Path) -> None:
    with postgres(folder) as address:
        with running_in(tmp_path / "home") as own:
            settings = settings_from(home=own.home, key_store=address)
            async with AsyncMemory(home=own.home) as memory:
                first = await memory.add("My sister lives in Oslo", user_id="alex")
                with pytest.raises(
                    WrongKey, match=r"a log has one key store. `memfold infra move-keys` takes"
                ):
                    await memory_of(settings).connect()
                with pytest.raises(KeysRefused, match="is open in another process"):
                    move_keys(settings)
        assert "keys are in PostgreSQL now" in memfold(settings, "infra", "move-keys")
        assert sorted(one.name for one in own.folder.glob("keys.*")) == [MOVED, ELSEWHERE]
        with closing(SqliteKeyRows(own.folder / MOVED)) as left, closing(rows_at(Postgres(address))) as held:
            assert left.all_rows() == held.all_rows()
        with pytest.raises(WrongKey, match="MEMFOLD_KEY_STORE is not set"):
            await AsyncMemory(home=own.home).connect()
        with running_in(own.home, key_store=address):
            async with memory_of(settings) as memory:
                found = await memory.search("where is my sister", user_id="alex")
                assert "Oslo" in found["results"][0]["memory"]
                second = await memory.add("My brother lives in Rome", user_id="bo")
            ids = [one["receipt"]["command_id"] for one in (first, second)]
            await everything_holds(settings, ids)


async def test_what_was_interrupted_is_moved_again(folder: Path, tmp_path: Path) -> None:
    with postgres(folder) as address:
        with running_in(tmp_path / "home") as own:
            async with AsyncMemory(home=own.home) as memory:
                await memory.add("My sister lives in Oslo", user_id="alex")
        settings = settings_from(home=own.home, key_store=address)
        count = move_keys(settings)
        # As a kill before the last step leaves it.
        (own.folder / MOVED).rename(own.folder / FILE)
        assert move_keys(settings) == count
        # Other keys than those that are there are not mixed with them.
        with running_in(tmp_path / "other") as other:
            async with AsyncMemory(home=other.home) as memory:
                await memory.add("I have a dog", user_id="kim")
        (other.folder / "key").write_text((own.folder / "key").read_text())
        with pytest.raises(WrongKey):
            move_keys(settings_from(home=other.home, key_store=address))


async def test_while_postgres_is_away_who_is_known_goes_on(folder: Path, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with ExitStack() as at_first:
        address = at_first.enter_context(postgres(folder, port))
        with running_in(tmp_path / "home", key_store=address) as settings:
            async with memory_of(settings) as memory:
                ids = [await add_until_there(memory, "I like tea", "1", user_id="alex")]
                # A search is a record too, with keys of its own.
                await memory.search("I like", user_id="alex")
                at_first.close()
                ids.append(await add_until_there(memory, "I like rain", "2", user_id="alex"))
                with pytest.raises(KeysUnreachable, match="can be neither read nor written meanwhile"):
                    await memory.add("I like snow", user_id="somebody new")
                assert len((await memory.search("I like", user_id="alex"))["results"]) == 2
                os.kill(pid_of(settings, "worker"), signal.SIGKILL)
                with postgres(folder, port):
                    ids.append(await add_until_there(memory, "I like snow", "3", user_id="somebody new"))
                    ids.append(await add_until_there(memory, "I like hail", "4", user_id="alex"))
                    await everything_holds(settings, ids)
