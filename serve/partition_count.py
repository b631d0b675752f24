"""How many partitions the log of a home has, written down when a process of the home first meets it.

Kafka lets anybody add partitions to a topic that holds records. Most subjects would then be looked for where nothing of theirs
stands, and all would seem well: what the topics say of themselves proves nothing.
"""

from __future__ import annotations

from pathlib import Path

from memfold.memory.errors import InvalidInput
from memfold.projections.durable import replace_durably

FILE = "partitions"


def known_partitions(home: Path) -> int | None:
    """The count that the log was made with; None in a home that has not met it yet. Raises InvalidInput for a file that is none of ours."""
    try:
        said = (home / FILE).read_text().strip()
    except FileNotFoundError:
        return None
    if not said.isdecimal() or int(said) < 1:
        raise InvalidInput(
            f"{home / FILE} says {said[:40]!r} where the number of the log's partitions belongs; correct it, or remove it if the "
            "topics are as they were made"
        )
    return int(said)


def note_partitions(home: Path, partitions: int) -> None:
    """Write it down, the first time."""
    if known_partitions(home) is None:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_durably(home / FILE, f"{partitions}\n".encode())
