"""What runs and how far it has come: processes, topics, positions, lag, generations."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from memfold.infra.stack_file import running_stack
from memfold.memory.errors import ViewUnreachable
from memfold.projections.embedded_by import embedded_by
from memfold.projections.generations import Generations
from memfold.schemas.partitions import COMMANDS, EVENTS, KEPT
from memfold.serve.log_parts import LogParts
from memfold.serve.missed_reads import MissedReads
from memfold.serve.scrubbed import Scrubbed, summed
from memfold.serve.sealed import sealed_until
from memfold.serve.settings import Settings
from memfold.serve.verified import last_verified
from memfold.serve.view_client import ViewClient

Status = dict[str, Any]
_READS = {"decide": COMMANDS, "vector": EVENTS, "graph": EVENTS, "archive": EVENTS}


class Rates:
    """How many records each role takes a second and each topic gets, from one status to the next."""

    def __init__(self) -> None:
        self.a_second: dict[str, float] = {}
        self._taken: dict[str, int] = {}
        self._at = 0.0

    def take(self, found: Status) -> None:
        """A worker that restarts begins where it stood, so nothing is negative but while partitions move."""
        now = time.monotonic()
        taken = {role["role"]: sum(role["positions"].values()) for role in found["roles"]}
        taken |= {name: topic["records"] for name, topic in found["topics"].items()}
        if self._taken:
            past = now - self._at
            self.a_second = {
                name: max(0, many - self._taken.get(name, many)) / past for name, many in taken.items()
            }
        self._taken, self._at = taken, now


def processes_of(settings: Settings) -> list[dict[str, Any]]:
    """The recorded processes of the running stack, its supervisor first; empty where none runs."""
    stack = running_stack(settings.folder)
    if stack is None:
        return []
    found: list[dict[str, Any]] = [
        {"role": "supervisor", "pid": stack.supervisor.pid, "state": "ready", "restarts": 0}
    ]
    for process in stack.processes:
        found.append(
            {
                "role": process.role,
                "pid": process.pid,
                "state": process.state.value,
                "restarts": process.restarts,
                "last_end": process.last_end,
            }
        )
    return found


async def status_of(parts: LogParts, views: ViewClient) -> Status:
    """Everything that `memfold status --json` prints. Raises BrokerUnreachable."""
    settings, partitions = parts.settings, parts.partitions
    places, workers, pending = await asyncio.gather(
        asyncio.to_thread(parts.ends), views.status(), _pending(parts, views)
    )
    ends = {topic: [places[topic, partition] for partition in range(partitions)] for topic in KEPT}
    return {
        "home": str(settings.folder),
        "bootstrap_servers": parts.connection.bootstrap_servers,
        "processes": processes_of(settings),
        "topics": {
            topic: {"partitions": partitions, "ends": ends[topic], "records": sum(ends[topic])}
            for topic in ends
        },
        "roles": [_role(settings, role, workers, ends[topic]) for role, topic in _READS.items()],
        "breakers": [
            {"pid": worker["pid"], **breaker} for worker in workers for breaker in worker.get("breakers", [])
        ],
        "pending": pending,
        "sealed": _sealed(settings, places),
        "verified": _verified(settings),
        "scrubbed": _scrubbed(workers),
        "missed_reads": MissedReads(settings.folder).count(),
        "quarantined": sum(count for worker in workers for count in worker.get("quarantined", {}).values()),
    }


async def _pending(parts: LogParts, views: ViewClient) -> int | None:
    """As a worker reads it, which has the tables open; where none answers, read here."""
    tenant = parts.settings.tenant
    try:
        return await views.pending(tenant)
    except ViewUnreachable:
        # LanceDB takes over a second to import: only who looks at a log without workers waits for it.
        from memfold.serve.parts import Parts

        here = Parts.over(parts)
        try:
            return await here.pending(tenant)
        finally:
            await here.index.close()


def _sealed(settings: Settings, ends: Mapping[tuple[str, int], int]) -> Status | None:
    found = sealed_until(settings.folder, ends)
    if found is None:
        return None
    at = datetime.fromtimestamp(found.at, UTC)
    return {"until": at.isoformat(timespec="seconds"), "unsealed": sum(found.unsealed.values())}


def _verified(settings: Settings) -> Status | None:
    found = last_verified(settings.folder)
    if found is None:
        return None
    at = datetime.fromtimestamp(found.at, UTC).isoformat(timespec="seconds")
    return {"at": at, "records": found.records, "compared": found.compared, "findings": found.findings}


def _scrubbed(workers: list[dict[str, Any]]) -> Status | None:
    told = [worker["scrub"] for worker in workers if worker.get("scrub")]
    return summed(msgspec.convert(one, Scrubbed) for one in told)


def _role(settings: Settings, role: str, workers: list[dict[str, Any]], ends: list[int]) -> Status:
    positions: dict[int, int] = {}
    for worker in workers:
        for partition, offset in worker.get("positions", {}).get(role, {}).items():
            positions[int(partition)] = max(offset, positions.get(int(partition), -1))
    lag = [end - 1 - positions.get(partition, -1) for partition, end in enumerate(ends)]
    found: Status = {
        "role": role,
        "running": bool(positions),
        "positions": positions,
        "lag": sum(lag),
        "lag_by_partition": lag,
    }
    if role in ("vector", "graph"):
        generations = Generations(settings.folder / "projections", role)
        found["generation"] = generations.served()
        by = embedded_by(generations, found["generation"]) if role == "vector" else None
        found |= {"embedder": by.model} if by else {}
    return found
