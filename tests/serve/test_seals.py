"""Seals on the command line, over a stack that runs: what an operator, an auditor and a witness do."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import uuid
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from tenacity import AsyncRetrying, stop_after_delay, wait_fixed
from typer.testing import CliRunner

from memfold import AsyncMemory
from memfold.audit.checkpoints import TreeName
from memfold.audit.receipts import SignedReceipt
from memfold.audit.seal_errors import NoteRefused, ProofRefused
from memfold.audit.seal_files import SealFiles
from memfold.audit.seal_key import seal_key
from memfold.infra.stack_file import running_stack
from memfold.projections.archive_source import ArchiveSource
from memfold.schemas.partitions import EVENTS
from memfold.serve.cli_whole import app
from memfold.serve.embedded import EmbeddedStack
from memfold.serve.settings import Settings, settings_from
from memfold.serve.verified import last_verified


def run(*words: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, ["audit", *words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == status, done.output
    return done.output


async def written(memory: AsyncMemory) -> str:
    """The id of the event of a write."""
    user = f"sealed-{uuid.uuid4().hex[:8]}"
    added = await memory.add("I like coffee", user_id=user, infer=False)
    command_id: str = added["receipt"]["command_id"]
    return str(uuid.uuid5(uuid.UUID(command_id), "event"))


async def test_a_write_is_sealed_proven_and_witnessed(
    stack: Settings, memory: AsyncMemory, tmp_path: Path
) -> None:
    home = ("--home", str(stack.home))
    key = (await asyncio.to_thread(run, "key", *home)).strip()
    event_id = await written(memory)
    receipt = tmp_path / "receipt"
    receipt.write_text(await asyncio.to_thread(run, "receipt", event_id, *home))
    assert f"record {event_id}\n" in receipt.read_text()

    sealed = json.loads(await asyncio.to_thread(run, "seal", *home, "--json"))
    assert sealed["key"] == key
    assert sum(head["size"] for head in sealed["heads"]) >= 2

    proof = tmp_path / "proof.json"
    proof.write_text(await asyncio.to_thread(run, "prove", event_id, *home))
    assert len(proof.read_bytes()) < 2_048
    assert "proven: the record" in run("check-proof", str(proof), "--key", key)
    found = json.loads(proof.read_text())
    place = receipt.read_text().split("\n")[2].split(" ")
    assert place[2] == str(found["offset"])
    record = tmp_path / "record"
    partition = int(place[1].rpartition("/")[2])
    ((archived,),) = ArchiveSource(stack.folder / "archive").batches(
        EVENTS, partition, found["offset"], found["offset"]
    )
    record.write_bytes(archived.value)
    run("check-proof", str(proof), "--key", key, "--record", str(record))
    record.write_bytes(archived.value + b"!")
    with pytest.raises(ProofRefused):
        run("check-proof", str(proof), "--key", key, "--record", str(record))
    for name, value in (
        ("offset", found["offset"] + 1),
        ("leaf_hash", found["hashes"][0] if found["hashes"] else "AA"),
    ):
        proof.write_text(json.dumps(found | {name: value}))
        with pytest.raises((ProofRefused, NoteRefused)):
            run("check-proof", str(proof), "--key", key)

    witness = ("witness", "--state", str(tmp_path / "witness"), "--key", key, "--name", "w.example/1")
    assert "nothing new" not in run(*witness, "--seals", str(stack.folder / "seals"))
    servers = running_stack(stack.folder)
    assert servers is not None
    assert "nothing new" in await asyncio.to_thread(
        run, *witness, "--bootstrap-servers", servers.bootstrap_servers
    )

    verified = json.loads(
        await asyncio.to_thread(
            run,
            "verify",
            *home,
            "--json",
            "--receipt",
            str(receipt),
            "--against",
            str(tmp_path / "witness"),
            "--key",
            key,
        )
    )
    assert verified["ok"]
    assert verified["counts"]["compared_with_log"] == verified["counts"]["archived"] > 0
    assert "everything holds" in await asyncio.to_thread(run, "verify", *home, "--since", "2000-01-01")
    assert "everything holds" in run("verify", *home, "--no-log")
    assert "everything holds" in run("verify", *home, "--hashes-only")
    noted = last_verified(stack.folder)
    assert noted is not None
    assert (noted.compared, noted.findings) == (0, 0)
    said = (await asyncio.to_thread(CliRunner().invoke, app, ["status", *home])).output
    assert f"{noted.records} records, archive and seals only: everything held" in said


async def test_two_checkpoints_of_a_tree(stack: Settings, memory: AsyncMemory, tmp_path: Path) -> None:
    home = ("--home", str(stack.home))
    key = (await asyncio.to_thread(run, "key", *home)).strip()
    files = SealFiles(stack.folder / "seals")
    for _ in range(2):
        await written(memory)
        await asyncio.to_thread(run, "seal", *home)
    tree = max(files.trees(), key=lambda each: len(files.seals(each)))
    notes = [seal.note for seal in files.seals(tree)]
    first, second, proof = tmp_path / "first", tmp_path / "second", tmp_path / "proof"
    first.write_text(notes[0])
    second.write_text(notes[-1])
    proof.write_text(run("prove-consistency", str(first), str(second), *home))
    assert "are unchanged in its first" in run("check-proof", str(proof), "--key", key)
    with pytest.raises(ProofRefused, match="is larger than"):
        run("prove-consistency", str(second), str(first), *home)


async def test_a_receipt_that_was_not_kept_is_evidence(
    stack: Settings, memory: AsyncMemory, tmp_path: Path
) -> None:
    """Signed with the log's own key, for another record at that place."""
    await written(memory)
    await asyncio.to_thread(run, "seal", "--home", str(stack.home))
    tree = next(each for each in SealFiles(stack.folder / "seals").trees() if each.topic == EVENTS)
    receipt = tmp_path / "receipt"
    never = SignedReceipt("an event", TreeName(EVENTS, tree.partition), 10_000, bytes(32), 1)
    receipt.write_text(never.note(seal_key(stack.folder / "seals")))
    said = await asyncio.to_thread(
        lambda: run("verify", "--home", str(stack.home), "--receipt", str(receipt), "--no-log", status=1)
    )
    assert "RECEIPT" in said
    assert "it is evidence" in said


def test_what_cannot_be_checked_has_its_own_status(tmp_path: Path) -> None:
    assert "could not be checked" in run("verify", "--home", str(tmp_path), "--no-log", status=2)
    home = settings_from(home=tmp_path)
    run("key", "--home", str(home.home))
    assert "no Kafka runs" in run("verify", "--home", str(tmp_path), status=2)
    assert "everything holds" in run("verify", "--home", str(tmp_path), "--no-log")


async def test_the_worker_seals_by_itself_after_a_kill(tmp_path: Path) -> None:
    """The seal role in a process of its own is killed; its successor goes on, and everything verifies."""
    settings = settings_from(home=tmp_path / "home", partitions=1)
    running = await asyncio.to_thread(EmbeddedStack.start, settings, True)
    files = SealFiles(settings.folder / "seals")

    def seals() -> int:
        return len(files.seals(TreeName(EVENTS, 0)))

    async def sealed_more(than: int) -> None:
        async for attempt in AsyncRetrying(stop=stop_after_delay(60), wait=wait_fixed(0.1)):
            with attempt:
                assert seals() > than

    try:
        async with AsyncMemory(home=settings.home) as memory:
            await written(memory)
            await sealed_more(0)
            stack = running_stack(settings.folder)
            assert stack is not None
            (role,) = [process for process in stack.processes if process.role == "worker-seal"]
            assert role.pid is not None
            os.kill(role.pid, signal.SIGKILL)
            before = seals()
            await written(memory)
            await sealed_more(before)
        words = ["audit", "verify", "--home", str(settings.home), "--json"]
        argv = [sys.executable, "-m", "memfold.serve.cli", *words]
        done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, check=True)
        report: Any = json.loads(done.stdout)
        assert report["ok"]
        assert report["counts"]["seals"] >= 3
    finally:
        await asyncio.to_thread(running.stop)
    assert b64decode((settings.folder / "seals" / "vkey").read_text().strip().split("+", 2)[2])[0] == 1
