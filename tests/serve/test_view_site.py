"""Where views answer: over TLS, to callers who believe the authority, and beside addresses of machines that are gone."""

from __future__ import annotations

import json
import logging
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from memfold.infra.ports import LOOPBACK, free_ports
from memfold.memory.errors import InvalidInput, ViewUnreachable
from memfold.projections.generations import Generations
from memfold.serve.settings import Settings, settings_from
from memfold.serve.view_address import addresses, announce
from memfold.serve.view_client import ViewClient, views_of
from memfold.serve.view_server import View, view_application
from memfold.serve.view_settings import ViewSettings
from memfold.serve.view_site import serve_view
from memfold.streams.progress import Progress
from tests.infra.certificates import Authority

TOKEN = "a token of a test, long enough to be one"


def settings(home: Path, **view: Any) -> Settings:
    return settings_from(home=home, view={"token": TOKEN} | view)


async def serving(given: Settings, closing: AsyncExitStack) -> None:
    progress = Progress()
    progress.offsets[0] = 7
    application = view_application(View({"vector": progress}), given.view_token())
    await serve_view(application, given.view, given.folder, ("vector",), closing)


def another_machines(home: Path, url: str) -> None:
    (home / "run" / "views").mkdir(parents=True)
    fields = {"url": url, "roles": ["vector"], "pid": 1, "started": 0.0, "machine": "elsewhere"}
    (home / "run" / "views" / "elsewhere-1-vector.json").write_text(json.dumps(fields))


async def test_over_tls_to_who_believes_the_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.signed("worker")
    given = settings(tmp_path, certificate=certificate, key=key, ca=authority.ca)
    async with AsyncExitStack() as closing:
        await serving(given, closing)
        (address,) = addresses(tmp_path)
        assert address.url.startswith(f"https://{LOOPBACK}:")
        async with views_of(given) as views:
            assert await views.reach("vector", 0, 7, 10)
        async with views_of(settings(tmp_path)) as views:
            assert not await views.reach("vector", 0, 7, 0.5)
        async with ViewClient(tmp_path, "another token", authority.ca) as views:
            (told,) = await views.status()
            assert told["answers"] is False
    assert addresses(tmp_path) == []


async def test_a_machine_that_is_gone_is_passed_over(tmp_path: Path) -> None:
    another_machines(tmp_path, f"http://{LOOPBACK}:{free_ports(1)[0]}")
    given = settings(tmp_path)
    async with AsyncExitStack() as closing:
        await serving(given, closing)
        assert len(addresses(tmp_path)) == 2
        async with views_of(given) as views:
            assert await views.reach("vector", 0, 7, 10)
            with pytest.raises(
                ViewUnreachable, match=r"1 of elsewhere does not answer .* elsewhere-1-vector.json"
            ):
                await views.standings()
    Generations(tmp_path / "projections", "vector").create_next()
    async with views_of(given) as views:
        with pytest.raises(ViewUnreachable, match=r"remove elsewhere-1-vector.json"):
            await views.switch("vector", "g0002")


async def test_another_machines_worker_is_asked(tmp_path: Path) -> None:
    given, theirs = (
        settings(tmp_path / "mine"),
        settings(tmp_path / "theirs", host="0.0.0.0", advertised=LOOPBACK),
    )
    async with AsyncExitStack() as closing:
        await serving(theirs, closing)
        (address,) = addresses(theirs.folder)
        assert address.url.startswith(f"http://{LOOPBACK}:")
        another_machines(given.folder, address.url)
        async with views_of(given) as views:
            assert await views.reach("vector", 0, 7, 10)


def test_who_starts_takes_away_addresses_of_its_own_machine_that_are_gone(tmp_path: Path) -> None:
    another_machines(tmp_path, "http://elsewhere:1")
    gone = tmp_path / "run" / "views" / "gone.json"
    fields = {
        "url": "http://x:1",
        "roles": ["graph"],
        "pid": 2**22 + 1,
        "started": 0.0,
        "machine": socket.gethostname(),
    }
    gone.write_text(json.dumps(fields))
    mine = announce(tmp_path, "http://me:1", ("vector",))
    assert not gone.exists()
    assert [address.url for address in addresses(tmp_path)] == ["http://me:1", "http://elsewhere:1"]
    mine.unlink()


async def test_an_open_view_without_tls_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with AsyncExitStack() as closing:
            await serving(settings(tmp_path), closing)
        assert not caplog.records
        async with AsyncExitStack() as closing:
            await serving(settings(tmp_path, host="0.0.0.0"), closing)
    assert "without TLS" in caplog.text
    assert ViewSettings(host="0.0.0.0").name == socket.gethostname()


def test_half_a_certificate_or_a_short_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="set together"):
        settings(tmp_path, certificate=tmp_path / "c.pem")
    with pytest.raises(InvalidInput, match=r"MEMFOLD_VIEW__TOKEN"):
        settings(tmp_path, token="short")
