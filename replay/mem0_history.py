"""Mem0's history: a table in SQLite with a row for each thing that became of a memory."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

from msgspec import Struct

from memfold.memory.errors import InvalidInput


class HistoryRow(Struct, frozen=True):
    """`row` is its number in the table, from 1; times are ISO 8601 text as Mem0 wrote it."""

    row: int
    memory_id: str
    old_memory: str | None
    new_memory: str | None
    event: str
    created_at: str | None
    updated_at: str | None
    actor_id: str | None = None
    role: str | None = None


_COLUMNS = ("memory_id", "old_memory", "new_memory", "event", "created_at", "updated_at", "actor_id", "role")


def history_in(path: Path) -> dict[str, list[HistoryRow]]:
    """The rows of each memory in the order in which they were written. Raises InvalidInput for what is no such file."""
    found: dict[str, list[HistoryRow]] = defaultdict(list)
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            there = {name for _, name, *_ in db.execute("PRAGMA table_info(history)")}
            if missing := {"memory_id", "old_memory", "new_memory", "event"} - there:
                raise InvalidInput(
                    f"{path} has no table history as Mem0 writes it: {', '.join(sorted(missing))} missing"
                )
            # Earlier versions of Mem0 had no actor_id and no role.
            columns = [name if name in there else f"NULL AS {name}" for name in _COLUMNS]
            for row, *values in db.execute(f"SELECT rowid, {', '.join(columns)} FROM history ORDER BY rowid"):
                found[str(values[0])].append(HistoryRow(row, *values))
    except sqlite3.Error as wrong:
        raise InvalidInput(f"{path} cannot be read as Mem0's history: {wrong}") from None
    return found


def versions_of(rows: list[HistoryRow], payload: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The versions of a memory as an import takes them: what the rows tell, ended by what the store says now (None: it is gone).

    What a row does not tell is not made up: metadata is known of what is said now only.
    """
    versions = [_version(row) for row in rows]
    if rows and versions[0]["event"] == "UPDATE" and rows[0].old_memory:
        # The row in which it began is lost; what it said then and when stands in the next one.
        versions.insert(0, {"event": "ADD", "memory": rows[0].old_memory, "at": rows[0].created_at})
    if payload is None:
        return versions
    now = {name: payload[name] for name in ("actor_id", "role") if payload.get(name)}
    said = payload.get("data")
    if not versions:
        versions.append({"event": "ADD", "memory": said, "at": payload.get("created_at")})
    elif versions[-1]["memory"] != said:
        # Mem0 writes the store first: it may have ended before it wrote the row.
        versions.append({"event": "UPDATE", "memory": said, "at": payload.get("updated_at")})
    return [*versions[:-1], {**versions[-1], **now, "metadata": metadata_of(payload)}]


def _version(row: HistoryRow) -> dict[str, Any]:
    at = row.created_at if row.event == "ADD" else row.updated_at
    told: dict[str, Any] = {
        "event": row.event,
        "memory": row.old_memory if row.event == "DELETE" else row.new_memory,
        "at": at or row.created_at,
    }
    return told | {name: value for name, value in (("actor_id", row.actor_id), ("role", row.role)) if value}


_CORE = {
    "data",
    "hash",
    "created_at",
    "updated_at",
    "id",
    "text_lemmatized",
    "user_id",
    "agent_id",
    "run_id",
    "actor_id",
    "role",
}


def metadata_of(payload: dict[str, Any]) -> dict[str, Any]:
    """What Mem0 shows as a memory's metadata, and what else it keeps with it that is not told elsewhere."""
    return {name: value for name, value in payload.items() if name not in _CORE and value is not None}
