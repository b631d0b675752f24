"""A mirror of the vector projection with its store open."""

from __future__ import annotations

from contextlib import closing
from threading import Lock

from memfold.memory.errors import InvalidInput
from memfold.projections.base import Shard
from memfold.projections.embedded_by import EmbeddedBy
from memfold.replay.reembedding import Embedding, ReembeddedShard
from memfold.serve.mirrors import Declared, Mirrors
from memfold.stores.adapters import open_store
from memfold.stores.mirror_shard import MirrorShard
from memfold.stores.port import VectorStore


class OpenMirror:
    """A mirror's store, opened when it is first needed, and its shards. For one process, from any thread.

    `embedding`: the served generation's. A mirror has the vectors of one model; another one needs a new mirror.
    """

    def __init__(self, mirrors: Mirrors, declared: Declared, embedding: Embedding) -> None:
        self.declared, self.turn, self.model = declared, Lock(), embedding.model
        self._mirrors, self._embedding = mirrors, embedding
        self._store: VectorStore | None = None

    def open(self) -> None:
        """Have the store. Raises as `store`."""
        self.store()

    def store(self) -> VectorStore:
        """Makes the collection the first time. Raises as `open_store`, and InvalidInput for the vectors of another model."""
        with self.turn:
            if self._store is None:
                made, name = self._mirrors.made_by(self.declared.name), self.declared.name
                served = EmbeddedBy(self.model, self._embedding.dimensions)
                if made not in (None, served):
                    raise InvalidInput(
                        f"the mirror {name!r} does not have vectors of {self.model}, which is served now; "
                        f"`memfold projection remove {name}` and add it again"
                    )
                config = self.declared.config
                self._store = open_store(self.declared.provider, config, served.dimensions, made is None)
                if made is None:
                    self._mirrors.make(name, served)
            return self._store

    def shard(self, partition: int) -> Shard:
        """Raises as `open_store` and VectorShard."""
        path = self._mirrors.shard_path(self.declared.name, partition)
        shard = MirrorShard(path, partition, self._embedding.dimensions, self.store(), self.turn)
        return ReembeddedShard(shard, self._embedding, generation=self.declared.role)

    def drop(self) -> None:
        """Remove the collection, whoever's vectors it has, if it was ever made."""
        if self._mirrors.made_by(self.declared.name) is None:
            return
        with closing(
            open_store(self.declared.provider, self.declared.config, self._embedding.dimensions, False)
        ) as store:
            store.drop()

    def close(self) -> None:
        with self.turn:
            if self._store is not None:
                self._store.close()
                self._store = None
