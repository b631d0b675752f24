"""An agent that reacts to what another one remembers: research_agent finds out, dev_agent makes a task of each finding.

Neither calls the other, and there is no queue between them: the log of what was decided is the outbox. dev_agent watches it, and each
reaction carries a key that follows from its change, so one that is carried out again after a crash counts once. The position is kept
after the reaction: kept before it, a crash in between would lose one.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memfold import Memory

FINDINGS = (
    "The parser is quadratic in the depth of nesting",
    "The cache is never emptied",
    "Two requests may share a connection",
)


def research(memory: Memory, project: str) -> None:
    """research_agent remembers what it finds; it knows nothing of who reads it."""
    for finding in FINDINGS:
        memory.add(
            finding, agent_id="research_agent", run_id=project, metadata={"topic": "defect"}, infer=False
        )


def react(memory: Memory, project: str, bookmark: Path) -> Iterator[str]:
    """dev_agent: a task for each finding, without an end; the text of each task once it stands."""
    since = bookmark.read_text() if bookmark.exists() else "1970-01-01"
    filters = {"topic": "defect"}
    with memory.watch(agent_id="research_agent", run_id=project, filters=filters, since=since) as changes:
        for change in changes:
            if change["event"] == "ADD":
                yield _task_for(memory, project, change)
            written = bookmark.with_suffix(".new")
            written.write_text(change["position"])
            written.replace(bookmark)


def _task_for(memory: Memory, project: str, change: dict[str, Any]) -> str:
    task = f"Mend: {change['memory']}"
    key = f"task for {change['id']} version {change['version']}"
    metadata = {"because_of": change["id"]}
    memory.add(
        task, agent_id="dev_agent", run_id=project, metadata=metadata, infer=False, idempotency_key=key
    )
    return task


def main(home: Path | None = None) -> None:
    project = f"project-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory() as folder, Memory(home=home) as memory:
        bookmark = Path(folder) / "dev_agent.position"
        research(memory, project)
        tasks = react(memory, project, bookmark)
        print(next(tasks))
        print(next(tasks))
        # As a crash would: the second task stands, its position is not kept.
        tasks.close()
        again = react(memory, project, bookmark)
        for _ in FINDINGS[1:]:
            print(next(again))
        again.close()
        held = memory.get_all(agent_id="dev_agent", run_id=project)["results"]
        print(f"{len(held)} tasks for {len(FINDINGS)} findings")


if __name__ == "__main__":
    main()
