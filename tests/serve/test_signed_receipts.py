"""Receipts that writes return signed: each is about the record that is there, and `audit verify` looks it up."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from memfold import Memory
from memfold.audit.checkpoints import TreeName
from memfold.audit.receipts import SignedReceipt
from memfold.audit.seal_key import seal_key
from memfold.schemas.partitions import COMMANDS
from memfold.serve.settings import Settings
from tests.serve.test_cli import run

pytestmark = pytest.mark.timeout(300)


def test_every_write_returns_a_receipt_that_verifies(stack: Settings, tmp_path: Path) -> None:
    user = f"receipt-{uuid.uuid4().hex[:8]}"
    with Memory(home=stack.home, signed_receipts=True) as memory:
        added = memory.add("I like coffee", user_id=user, infer=False)
        at_once = memory.add("I like tea", user_id=user, infer=False, wait=False)
        changed = memory.update(added["results"][0]["id"], "I like cocoa")
    key = seal_key(stack.folder / "seals").verifier()
    for number, receipt in enumerate(one["receipt"] for one in (added, at_once, changed)):
        signed = SignedReceipt.parse(receipt["signed"], key)
        assert (signed.record_id, signed.offset) == (receipt["command_id"], receipt["offset"])
        assert signed.tree == TreeName(COMMANDS, receipt["partition"])
        (tmp_path / f"{number}").write_text(receipt["signed"])
    run(stack, "audit", "seal")
    receipts = [word for number in range(3) for word in ("--receipt", str(tmp_path / f"{number}"))]
    assert json.loads(run(stack, "audit", "verify", "--json", *receipts))["ok"]


def test_without_the_setting_a_receipt_is_plain(stack: Settings) -> None:
    with Memory(home=stack.home) as memory:
        added = memory.add("I like coffee", user_id=f"receipt-{uuid.uuid4().hex[:8]}", infer=False)
    assert set(added["receipt"]) == {"command_id", "partition", "offset"}
