"""A mirror of the graph, opened: its endpoint, and its shards. What serve/mirrors.py is for vectors."""

from __future__ import annotations

from contextlib import closing
from threading import Lock

from memfold.memory.errors import InvalidInput
from memfold.replay.reembedding import Embedding
from memfold.serve.mirrors import Declared, Mirrors
from memfold.serve.open_mirror import OpenMirror
from memfold.stores.adapters import open_endpoint
from memfold.stores.graph_mirror_shard import GraphMirrorShard
from memfold.stores.port import VectorStore
from memfold.stores.sparql import SparqlEndpoint


class OpenGraphMirror:
    """For one process, from any thread."""

    model = ""
    """Nobody's vectors are in it."""

    def __init__(self, mirrors: Mirrors, declared: Declared) -> None:
        self.declared, self.turn = declared, Lock()
        self._mirrors = mirrors
        self._endpoint: SparqlEndpoint | None = None

    def open(self) -> None:
        """Have the endpoint. Raises as `open_endpoint`."""
        self._opened()

    def store(self) -> VectorStore:
        """Raises InvalidInput: there is none to be searched by meaning."""
        raise InvalidInput(
            f"{self.declared.name!r} mirrors the graph, which has no vectors; ask its endpoint in SPARQL"
        )

    def shard(self, partition: int) -> GraphMirrorShard:
        """Raises as `open_endpoint` and GraphShard."""
        path = self._mirrors.shard_path(self.declared.name, partition)
        return GraphMirrorShard(path, partition, self._opened())

    def drop(self) -> None:
        """Remove from the endpoint the graphs that the mirror put there."""
        for partition in self._mirrors.partitions(self.declared.name):
            with closing(self.shard(partition)) as shard:
                shard.drop()

    def close(self) -> None:
        with self.turn:
            if self._endpoint is not None:
                self._endpoint.close()
                self._endpoint = None

    def _opened(self) -> SparqlEndpoint:
        with self.turn:
            if self._endpoint is None:
                self._endpoint = open_endpoint(self.declared.provider, self.declared.config)
            return self._endpoint


def open_mirror(mirrors: Mirrors, declared: Declared, embedding: Embedding) -> OpenMirror | OpenGraphMirror:
    """The mirror, of whichever projection it is. Connects to nothing yet."""
    if declared.projection == "graph":
        return OpenGraphMirror(mirrors, declared)
    return OpenMirror(mirrors, declared, embedding)
