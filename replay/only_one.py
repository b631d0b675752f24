"""One rebuild at a time: two would take up the same half generation, and each would remove what the other builds.

Verifications have a lock of their own: one may run beside a rebuild, and a second one would remove what the first builds aside.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from memfold.infra.home import held
from memfold.memory.errors import RebuildRunning

FILE, VERIFY_FILE = "rebuild.lock", "verify.lock"


def only_one(projections: Path, doing: str, file: str = FILE) -> AbstractContextManager[None]:
    """Hold the projections in this folder against other rebuilds, or with VERIFY_FILE against other verifications.

    Raises RebuildRunning at once, naming the process that has them.
    """
    projections.mkdir(parents=True, exist_ok=True)
    return held(
        projections / file,
        f"`{doing}` of process {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC,",
        lambda holder: RebuildRunning(
            f"{holder or 'another process'} has {projections}; wait until it is done, or stop it"
        ),
    )
