"""A bundle's way onto disk: what witnesses have signed is read, and the ZIP written for its owner only, because it may hold a key."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from memfold.audit.bounds import Bounds
from memfold.audit.bundle import Bundle, Selection


class Maker(Protocol):
    def bundle(self, bounds: Bounds, selection: Selection, witnessed: Sequence[str]) -> Bundle: ...


def write_bundle(
    output: Path, maker: Maker, bounds: Bounds, selection: Selection, witnessed: Sequence[str | Path]
) -> dict[str, Any]:
    """Make a bundle and write it: {bundle, records, opened, left_out, sha256}. Raises OSError, and as `Bundling.bundle`."""
    notes = [path.read_text(encoding="utf-8") for each in witnessed for path in checkpoint_files(Path(each))]
    made = maker.bundle(bounds, selection, notes)
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(made.data)
    return {
        "bundle": str(output),
        "records": made.records,
        "opened": made.opened,
        "left_out": made.left_out,
        "sha256": sha256(made.data).hexdigest(),
    }


def checkpoint_files(path: Path) -> list[Path]:
    """A folder stands for the checkpoints in it, such as a witness's."""
    return sorted(path.glob("*.checkpoint")) if path.is_dir() else [path]
