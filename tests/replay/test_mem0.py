"""A store that the real mem0ai wrote (tests/mem0_store), read as what mem0 itself said of it; and stores that are wrong."""

from __future__ import annotations

import json
import pickle
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from memfold.memory.errors import InvalidInput
from memfold.memory.imported import checked_import
from memfold.memory.messages import checked_time
from memfold.replay.jsonl import lines_of, written
from memfold.replay.mem0_store import Mem0Store, Offered

STORE = Path(__file__).parents[1] / "mem0_store" / "written"
SAID: dict[str, Any] = json.loads((STORE / "said.json").read_text())
GONE = "I like decaf"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(STORE, tmp_path / "mem0"))


def read(folder: Path, **where: Any) -> list[Offered]:
    return list(Mem0Store.find(folder, **where).memories())


@pytest.mark.parametrize("said", SAID["memories"], ids=lambda said: said["memory"])
def test_a_memory_is_what_mem0_says_it_is(said: dict[str, Any]) -> None:
    (memory,) = (one.memory for one in read(STORE) if one.memory["id"] == said["id"])
    assert {name: memory[name] for name in ("user_id", "agent_id", "run_id") if name in memory} == {
        name: said[name] for name in ("user_id", "agent_id", "run_id") if name in said
    }
    last = memory["versions"][-1]
    assert (last["memory"], last["at"]) == (said["memory"], said["updated_at"])
    assert memory["versions"][0]["at"] == said["created_at"]
    assert last["metadata"] == (said["metadata"] or {})
    assert (last.get("actor_id"), last.get("role")) == (said.get("actor_id"), said.get("role"))
    told = [(version["event"], version["memory"]) for version in memory["versions"]]
    assert told == [(row["event"], row["new_memory"]) for row in SAID["history"][said["id"]]]
    command = checked_import(memory, "mem0").command
    assert command.versions[-1].at == checked_time(said["updated_at"])


def test_what_mem0_deleted_is_known_by_its_history_and_names_nobody() -> None:
    (gone,) = (one for one in read(STORE) if "user_id" not in one.memory and GONE in str(one.memory))
    assert [version["event"] for version in gone.memory["versions"]] == ["ADD", "UPDATE", "DELETE"]
    assert gone.place == "history rows 5, 6, 7"
    with pytest.raises(InvalidInput, match="whose it is"):
        checked_import(gone.memory, "mem0")


def test_without_a_history_a_memory_begins_with_what_it_says(copy: Path) -> None:
    (copy / "history.db").unlink()
    found = read(copy)
    assert len(found) == len(SAID["memories"])
    assert all(len(one.memory["versions"]) == 1 for one in found)


def test_parts_elsewhere_are_named(copy: Path, tmp_path: Path) -> None:
    elsewhere = shutil.move(copy / "qdrant", tmp_path / "elsewhere")
    with_history = read(copy, vectors=Path(elsewhere))
    assert [one.memory for one in with_history] == [one.memory for one in read(STORE)]
    alone = read(copy)
    assert {one.flaw[:26] for one in alone if one.flaw} == {"the history tells of memory"[:26]}
    with pytest.raises(InvalidInput, match="no collection 'other'; there are mem0"):
        read(STORE, collection="other")
    with pytest.raises(InvalidInput, match="neither a history"):
        read(tmp_path / "elsewhere" / "collection")
    with pytest.raises(InvalidInput, match="is not there"):
        read(tmp_path / "nowhere")


def test_a_word_that_the_history_missed_is_a_version_too(copy: Path) -> None:
    with closing(sqlite3.connect(copy / "history.db")) as db, db:
        db.execute(
            "DELETE FROM history WHERE new_memory = 'I work at Signal' OR new_memory = 'I work at Google'"
        )
    (memory,) = (one.memory for one in read(copy) if "Signal" in str(one.memory))
    told = [(version["event"], version["memory"]) for version in memory["versions"]]
    assert told == [
        ("ADD", "I work at Google"),
        ("UPDATE", "I work at Mozilla"),
        ("UPDATE", "I work at Signal"),
    ]


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("evil-was-here"),))


@pytest.mark.parametrize(
    "blob",
    [pickle.dumps(Evil()), b"", b"\x80\x04garbage", pickle.dumps({"id": 1}), pickle.dumps(None)],
    ids=["runs code", "nothing", "garbage", "no point", "none"],
)
def test_a_point_that_is_no_memory_is_refused_and_runs_nothing(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blob: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect(copy / "qdrant" / "collection" / "mem0" / "storage.sqlite")) as db, db:
        db.execute("INSERT INTO points VALUES ('x', ?)", (blob,))
    flaws = [one for one in read(copy) if one.flaw]
    assert [one.place for one in flaws] == ["point x"]
    assert not (tmp_path / "evil-was-here").exists()
    assert len(read(copy)) == len(read(STORE)) + 1


def test_files_that_are_no_store_are_refused(copy: Path) -> None:
    (copy / "history.db").write_bytes(b"no database at all, but long enough to look like one" * 100)
    with pytest.raises(InvalidInput, match="cannot be read as Mem0's history"):
        read(copy)
    with closing(sqlite3.connect(copy / "other.db")) as db, db:
        db.execute("CREATE TABLE history (id TEXT)")
    with pytest.raises(InvalidInput, match="event, memory_id"):
        read(copy, history=copy / "other.db")


def offered(path: Path, lines: str) -> Iterator[Offered]:
    path.write_text(lines)
    return lines_of(path)


def test_lines_are_numbered_and_what_is_no_object_is_told(tmp_path: Path) -> None:
    found = list(offered(tmp_path / "x.jsonl", '{"memory": "x"}\n\n[1]\n{"a": \n'))
    assert [(one.place, bool(one.flaw)) for one in found] == [
        ("line 1", False),
        ("line 3", True),
        ("line 4", True),
    ]
    assert [json.loads(line) for line in written([found[0].memory])] == [{"memory": "x"}]
    with pytest.raises(InvalidInput, match="cannot be read"):
        list(lines_of(tmp_path / "nowhere"))
