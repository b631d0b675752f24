"""Builds a past of a deployment, from its Kafka or from its archive."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from memfold.memory.errors import InvalidInput
from memfold.memory.messages import checked_time
from memfold.memory.moments import CLOCKS_DIFFER
from memfold.replay.build import BuiltShard
from memfold.replay.past_build import build_past, check_folder
from memfold.replay.past_log import ArchivedTopics, KafkaTopics
from memfold.replay.past_manifest import Manifest
from memfold.replay.progress import Watch, unwatched
from memfold.serve.keys import is_there
from memfold.serve.replaying import origin_of
from memfold.serve.settings import Settings
from memfold.streams.reader import LogReader


def past_at(
    settings: Settings,
    moment: object,
    folder: Path,
    source: str = "kafka",
    done: Callable[[BuiltShard], None] = lambda built: None,
    watch: Watch = unwatched,
) -> Manifest:
    """Build what was known at a moment into `folder`. Raises InvalidInput, BrokerUnreachable, LogTruncated, NoRoom, RebuildRunning."""
    then, now = checked_time(moment, "moment"), datetime.now(UTC)
    if then is None:
        raise InvalidInput("of which moment? Name one, e.g. 2026-03-03T10:00")
    if then > now + CLOCKS_DIFFER:
        raise InvalidInput(
            f"moment {then.isoformat()} is still to come (now it is {now.isoformat(timespec='seconds')}); name an earlier one"
        )
    folder = folder.expanduser().absolute()
    check_folder(folder, then, settings.tenant, settings.folder)
    if not is_there(settings):
        raise InvalidInput(
            f"{settings.folder} has no key store, so there is nothing to build from; name another --home"
        )
    partitions, origin = origin_of(settings, source)
    if origin.connection is None:
        log = ArchivedTopics(settings.folder / "archive")
        return build_past(folder, then, settings.tenant, partitions, origin, log, done, watch)
    with closing(LogReader(origin.connection)) as reader:
        return build_past(folder, then, settings.tenant, partitions, origin, KafkaTopics(reader), done, watch)
