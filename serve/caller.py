"""The caller's side of a deployment: where the real parts behind AsyncMemory are put together."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from memfold.audit.auditor import Auditor, Seals
from memfold.audit.full_log import FullLog
from memfold.audit.history import DuckDBHistory
from memfold.audit.seal_key import seal_key
from memfold.memory.corpora import Corpora
from memfold.memory.exploring import Exploring
from memfold.memory.ports import HistoryLog
from memfold.memory.readers import Reader
from memfold.memory.reads import Reads
from memfold.memory.recalling import Recalling
from memfold.memory.reranking import Reranking
from memfold.memory.watches import Watches
from memfold.memory.writing import Writing
from memfold.projections.graph_sparql import OxigraphSparql
from memfold.projections.vector_wide import LanceWideIndex
from memfold.serve.audit_settings import account
from memfold.serve.embedded import EmbeddedStack, running_stack
from memfold.serve.embedding import ServedEmbedder
from memfold.serve.kafka_log import KafkaWriteLog
from memfold.serve.missed_reads import MissedReads
from memfold.serve.parts import Parts
from memfold.serve.past import Past
from memfold.serve.read_log import KafkaReadLog
from memfold.serve.seals import seal_now, seals_of
from memfold.serve.settings import Settings
from memfold.serve.tail import KafkaTail
from memfold.serve.view_address import addresses
from memfold.serve.view_client import ViewClient, views_of
from memfold.serve.watched_log import KafkaWatchedLog
from memfold.streams.traces import Traces
from memfold.streams.writer import LogWriter

GATHERED_MS = 500
"""How long reads wait for others when nobody waits for them: sent one by one, each costs the next search of the same machine 2 ms."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The verbs of one tenant over one deployment."""

    writing: Writing
    recalling: Recalling
    exploring: Exploring
    history: HistoryLog
    auditor: Auditor
    views: ViewClient
    reads: Reads
    past: Past
    watches: Watches
    _closing: AsyncExitStack

    @classmethod
    async def open(cls, settings: Settings, traces: Traces | None = None) -> Caller:
        """Connect to the stack in the home, or to workers that share it; where none runs, start one for as long as the caller is open."""
        async with AsyncExitStack() as opening:
            bootstrap_servers = await asyncio.to_thread(running_stack, settings)
            if settings.bootstrap_servers and addresses(settings.folder):
                # Workers that nobody's `memfold up` keeps: started one by one, or on other machines.
                bootstrap_servers = bootstrap_servers or settings.bootstrap_servers
            if bootstrap_servers is None:
                stack = await asyncio.to_thread(EmbeddedStack.start, settings)
                opening.callback(stack.stop)
                bootstrap_servers = stack.bootstrap_servers
            parts = await asyncio.to_thread(Parts.open, settings, bootstrap_servers, ["caller"])
            opening.push_async_callback(parts.close)
            views = views_of(settings)
            opening.push_async_callback(views.close)
            writer = parts.writer()
            opening.callback(writer.close)
            embedder = ServedEmbedder(settings.models, parts.vectors)
            opening.push_async_callback(embedder.close)
            archive, tail = settings.folder / "archive", KafkaTail(parts.reader)
            history = DuckDBHistory(archive, parts.partitions, tail, parts.keys)
            opening.callback(history.close)
            full_log = FullLog(archive, parts.partitions, tail, parts.keys, parts.keys)
            opening.callback(full_log.close)
            reads = _reads(settings, parts, writer, opening)
            watched_log = KafkaWatchedLog(parts.reader, history, full_log)
            watches = Watches(settings.tenant, watched_log, parts.keys, reads)
            opening.push_async_callback(watches.close)
            signer = seal_key(seals_of(settings)) if settings.signed_receipts else None
            log = KafkaWriteLog(writer, parts.keys, views, parts.partitions, signer, traces)
            recalling = Recalling(
                settings.tenant,
                parts.index,
                Corpora(settings.tenant, parts.feed),
                views,
                parts.keys,
                embedder,
                settings.weights,
                reranking_of(settings, opening),
                LanceWideIndex(parts.index),
            )
            return cls(
                Writing(settings.tenant, log, parts.keys, parts.index, parts.index, settings.patience),
                recalling,
                Exploring(settings.tenant, views, views, OxigraphSparql(), parts.keys),
                history,
                Auditor(
                    settings.tenant,
                    history,
                    full_log,
                    Seals(seals_of(settings), partial(seal_now, settings)),
                    reads,
                ),
                views,
                reads,
                Past(recalling, parts.index, parts.feed),
                watches,
                opening.pop_all(),
            )

    def recalling_as_of(self, moment: datetime | None) -> Recalling:
        """The same reads, of what was known at a moment; None for now."""
        return self.past.at(moment)

    def admit(self) -> None:
        """What is served is kept right by its workers: nothing to look after before each verb."""

    async def close(self) -> None:
        await self._closing.aclose()


def reranking_of(settings: Settings, opening: AsyncExitStack) -> Reranking | None:
    """The configured re-ranker, closed with `opening`; None where it is off."""
    if settings.reranker.provider == "off":
        return None
    # Only then: the client of model endpoints takes half a second to import.
    if settings.reranker.provider == "endpoint":
        from memfold.providers.endpoint_reranker import endpoint_reranking_from

        reranking, close = endpoint_reranking_from(settings.reranker)
    else:
        from memfold.providers.llm_reranker import reranking_from

        reranking, close = reranking_from(settings.reranker, settings.models)
    opening.push_async_callback(close)
    return reranking


def _reads(settings: Settings, parts: Parts, writer: LogWriter, opening: AsyncExitStack) -> Reads:
    chosen, tenant = settings.audit, settings.tenant
    client = Reader(chosen.actor or account(), chosen.purpose)
    if chosen.reads == "off":
        return Reads(tenant, client=client, purposes=chosen.purposes)
    if chosen.reads == "async":
        writer = parts.writer(GATHERED_MS)
        opening.callback(writer.close)
    log = KafkaReadLog(
        tenant, writer, parts.keys, parts.partitions, MissedReads(settings.folder), strict=chosen.reads == "strict"
    )  # fmt: skip
    opening.callback(log.close)
    key = hmac.digest(settings.key_encrypting_key(), b"memfold queries of reads", hashlib.sha256)
    return Reads(tenant, log, parts.keys, parts.index, client, chosen.purposes, key)
