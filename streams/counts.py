"""The partition count of the topics against the one that the log was made with: a subject is found by it."""

from __future__ import annotations

from collections.abc import Mapping

from memfold.memory.errors import TopicMisconfigured
from memfold.schemas.partitions import KEPT

_WAYS = (
    "somebody changed that behind memfold, and subjects would be looked for where nothing of theirs stands. Nothing starts and nothing "
    "was changed; what was written before is whole"
)


def check_counts(counts: Mapping[str, int], partitions: int, beyond: bool) -> None:
    """Before anything is made. Raises TopicMisconfigured naming each topic and the ways back: Kafka never takes partitions away."""
    other = {name: counts[name] for name in KEPT if counts.get(name, partitions) != partitions}
    if not other or (beyond and min(other.values()) > partitions):
        return
    found = ", ".join(f"{name} has {count} partitions" for name, count in other.items())
    raise TopicMisconfigured(
        f"{found}, and this log was made with {partitions}: {_WAYS}. With the stack down, `memfold replay repartition --partitions "
        f"{2 * partitions} --into NEW_HOME` makes a log of more partitions as it has to be made (on another cluster, where Kafka is "
        f"your own). To stay with {partitions}: `memfold audit seal` archives what is not archived yet; then delete the topics "
        "memfold.* and run `memfold restore --archive HOME/archive` (docs/clusters.md)"
    )


def check_assigned(topic: str, partition: int, partitions: int | None) -> None:
    """For a process that runs while it happens. Raises TopicMisconfigured for a partition that the log was not made with."""
    if partitions is not None and partition >= partitions:
        raise TopicMisconfigured(
            f"{topic} has a partition {partition}, and this log was made with {partitions}: {_WAYS}. Start this process again: it says "
            "what to do"
        )
