"""A past that was opened: the same reads as over a stack, from the files of one folder and the deployment's key store."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from memfold.audit.auditor import Auditor
from memfold.audit.history import DuckDBHistory
from memfold.memory.corpora import Corpora
from memfold.memory.errors import InvalidInput, PastOutlived, ReadNotRecorded, ReadOnly, ShardDamaged
from memfold.memory.exploring import Exploring
from memfold.memory.ports import HistoryLog
from memfold.memory.readers import Reader
from memfold.memory.reads import Reads
from memfold.memory.recalling import Recalling
from memfold.memory.watches import Watches
from memfold.memory.writing import Writing
from memfold.projections.generations import FIRST
from memfold.projections.graph import GraphShard
from memfold.projections.graph_sparql import OxigraphSparql
from memfold.projections.vector_feed import LanceMemoryFeed
from memfold.projections.vector_index import LanceMemoryIndex
from memfold.projections.vector_wide import LanceWideIndex
from memfold.providers.presets import close_models, embedder_from
from memfold.replay.past_log import NothingBehind
from memfold.replay.past_manifest import Manifest, manifest_of, projections_of, subjects_in
from memfold.schemas.errors import WrongKey
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from memfold.serve.audit_settings import account
from memfold.serve.caller import reranking_of
from memfold.serve.embedding import models_of
from memfold.serve.keys import is_there, keys_of, place_of
from memfold.serve.past import Past
from memfold.serve.past_relations import RelationsUntil, later_than
from memfold.serve.settings import Settings


class Outlived:
    """Notices when somebody who stands in a past is erased: what was built before holds their words in the clear."""

    def __init__(self, folder: Path, keys: KeyStore) -> None:
        self._folder, self._keys = folder, keys
        self._subjects = subjects_in(folder)
        self._looked_at: int | None = None
        self._gone = 0

    def check(self) -> None:
        """Raises PastOutlived."""
        now = self._keys.changes()
        if now != self._looked_at:
            self._gone = len(self._keys.erased() & self._subjects)
            self._looked_at = now
        if self._gone:
            raise PastOutlived(
                f"{self._gone} subject(s) in {self._folder} were erased after it was built, so it answers nothing any more. Delete "
                "the folder, which holds their words in the clear, and build it again with `memfold replay at`: they are not in it then"
            )


@dataclass(frozen=True, slots=True)
class PastCaller:
    """The verbs of one tenant over one past."""

    folder: Path
    manifest: Manifest
    recalling: Recalling
    exploring: Exploring
    history: HistoryLog
    reads: Reads
    past: Past
    outlived: Outlived
    _closing: AsyncExitStack

    @classmethod
    async def open(cls, folder: Path, settings: Settings) -> PastCaller:
        """Raises InvalidInput, WrongKey, PastOutlived, ReadNotRecorded, ShardDamaged. Writes nothing."""
        if settings.audit.reads == "strict":
            raise ReadNotRecorded(
                f"MEMFOLD_AUDIT__READS is strict, and reads of the past in {folder} are recorded nowhere; ask the stack with "
                "`as_of`, or open it under another setting"
            )
        manifest = manifest_of(folder)
        async with AsyncExitStack() as opening:
            keys = await asyncio.to_thread(_keys_of, settings)
            opening.callback(keys.close)
            outlived = Outlived(folder, keys)
            outlived.check()
            generations, partitions = projections_of(folder), len(manifest.ends[EVENTS])
            index = LanceMemoryIndex(generations["vector"], partitions)
            opening.push_async_callback(index.close)
            shards: dict[int, GraphShard | None] = {}
            for partition in range(partitions):
                path = generations["graph"].shard_path(FIRST, partition)
                shard = await asyncio.to_thread(_graph_of, path, partition)
                opening.callback(shard.close)
                shards[partition] = shard
                _check_position(path, shard.position().offset, manifest, partition)
                path = generations["vector"].shard_path(FIRST, partition)
                _check_position(path, await index.position(partition), manifest, partition)
            graph = RelationsUntil(shards, manifest.moment)
            embedder = embedder_from(models_of(settings.models, generations["vector"], FIRST))
            opening.push_async_callback(close_models, embedder)
            feed, tenant = LanceMemoryFeed(index.tables, partitions), settings.tenant
            recalling = Recalling(
                tenant,
                index,
                Corpora(tenant, feed),
                graph,
                keys,
                embedder,
                settings.weights,
                reranking_of(settings, opening),
                LanceWideIndex(index),
            )
            history = DuckDBHistory(folder / "archive", partitions, NothingBehind(), keys)
            opening.callback(history.close)
            client = Reader(settings.audit.actor or account(), settings.audit.purpose)
            return cls(
                folder,
                manifest,
                recalling,
                Exploring(tenant, graph, graph, OxigraphSparql(), keys),
                history,
                Reads(tenant, client=client, purposes=settings.audit.purposes),
                Past(recalling, index, feed),
                outlived,
                opening.pop_all(),
            )

    @property
    def writing(self) -> Writing:
        """Raises ReadOnly."""
        known = "would be known" if self.manifest.what_if else "was known"
        raise ReadOnly(
            f"{self.folder} is what {known} at {self.manifest.moment.isoformat()}, and cannot be changed; nothing was written. "
            f'To write, use the stack itself: Memory(home="{self.manifest.home}")'
        )

    @property
    def auditor(self) -> Auditor:
        """Raises InvalidInput."""
        raise InvalidInput(
            "audit and export_memories ask the full log, and a past has only the beginning of it; ask the stack itself: "
            f'Memory(home="{self.manifest.home}")'
        )

    @property
    def watches(self) -> Watches:
        """Raises InvalidInput."""
        raise InvalidInput(
            f'nothing changes in a past, so there is nothing to watch; watch the stack itself: Memory(home="{self.manifest.home}")'
        )

    def recalling_as_of(self, moment: datetime | None) -> Recalling:
        """The same reads, of what was known earlier than the past's moment; None for that. Raises InvalidInput for a later one."""
        if moment is not None and moment > self.manifest.moment:
            raise later_than(self.manifest.moment, moment)
        return self.past.at(moment)

    def admit(self) -> None:
        """Before every verb. Raises PastOutlived."""
        self.outlived.check()

    async def close(self) -> None:
        await self._closing.aclose()


def _keys_of(settings: Settings) -> KeyStore:
    """The deployment's key store, which must be there: a past has no keys, so that who is erased stays erased."""
    place = place_of(settings)
    if not is_there(settings):
        raise InvalidInput(
            f"{place} is not there, and a past is read with the key store of its deployment; pass home=, the folder that has it"
        )
    if settings.key is None and not (settings.folder / "key").is_file():
        raise WrongKey(
            f"no key opens {place}: there is no {settings.folder / 'key'}; set MEMFOLD_KEY to the key it was made with"
        )
    return keys_of(settings)


def _graph_of(path: Path, partition: int) -> GraphShard:
    try:
        return GraphShard(path, partition, read_only=True)
    except FileNotFoundError as gone:
        raise _damaged(path, "is not there") from gone


def _check_position(path: Path, offset: int, manifest: Manifest, partition: int) -> None:
    end = manifest.ends[EVENTS][partition]
    if offset + 1 != end:
        raise _damaged(path, f"ends at offset {offset}, its manifest says {end - 1}")


def _damaged(path: Path, what: str) -> ShardDamaged:
    return ShardDamaged(f"{path} {what}; delete this past and build it again with `memfold replay at`")
