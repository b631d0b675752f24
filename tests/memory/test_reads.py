"""Reads without a stack: who reads and what for, what an answer holds, and whose memories it gave."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from memfold.memory.errors import InvalidInput, ReadNotRecorded
from memfold.memory.noting import note
from memfold.memory.readers import Reader, reader, reading
from memfold.memory.reads import MOST_NAMED, Read, Reads
from memfold.memory.recorded import count_of, recorded

CLIENT = Reader("os:me", "by default")


class Directory:
    """Knows alex, and the tenant."""

    def known_subject(self, tenant: str, kind: str, name: str) -> str | None:
        return "alex's" if (kind, name) == ("user", "alex") else None

    def subject_of(self, tenant: str, kind: str, name: str) -> str:
        assert kind == "tenant"
        return "the tenant's"


class Kept:
    """A ReadLog in memory; `refuses` as strict ones do when the broker is away."""

    def __init__(self, refuses: bool = False) -> None:
        self.reads: list[Read] = []
        self.refuses = self.strict = refuses

    async def record(self, read: Read) -> None:
        if self.refuses:
            raise ReadNotRecorded("not acknowledged")
        self.reads.append(read)


class Verbs:
    def __init__(self, reads: Reads) -> None:
        self.reads = reads

    async def _ready(self) -> Verbs:
        return self

    @recorded("find", "text")
    async def find(self, text: str, *, user_id: str | None = None, gives: Sequence[Any] = ()) -> list[str]:
        for subject, memory_ids in gives:
            await asyncio.to_thread(note, subject, memory_ids)
        if not text:
            raise InvalidInput("text is blank")
        return [one for _, memory_ids in gives for one in memory_ids]

    @recorded("look", quiet=True)
    async def look(self, *, found: bool) -> None:
        if found:
            note("alex's", ["m"])


def verbs(log: Kept) -> Verbs:
    return Verbs(Reads("acme", log, Directory(), None, CLIENT, (), b"key"))


def test_a_block_says_who_reads_and_blocks_stand_in_each_other() -> None:
    assert reader(CLIENT) == CLIENT
    with reading(purpose="care"):
        assert reader(CLIENT) == Reader("os:me", "care")
        with reading(actor="bot"):
            assert reader(CLIENT) == Reader("bot", "care")
        with ThreadPoolExecutor(1) as other:
            assert other.submit(reader, CLIENT).result() == CLIENT, "another thread reads for itself"
        assert reader(CLIENT) == Reader("os:me", "care")
    assert reader(CLIENT) == CLIENT
    with pytest.raises(InvalidInput, match="purpose is blank"), reading(purpose=" "):
        pass


async def test_what_comes_out_in_a_thread_is_noted_and_grouped_by_subject() -> None:
    log = Kept()
    await verbs(log).find("x", user_id="alex", gives=[("alex's", "ab"), ("kim's", "c"), ("alex's", "a")])
    (read,) = log.reads
    assert read.memory_ids == {"alex's": ["a", "b"], "kim's": ["c"]}
    assert (read.body.verb, read.body.count, read.body.actor) == ("find", 4, "os:me")


async def test_without_any_memory_the_read_is_on_the_log_of_who_was_asked_for() -> None:
    log = Kept()
    await verbs(log).find("x", user_id="alex")
    await verbs(log).find("x", user_id="nobody that is known")
    await verbs(log).find("x")
    assert [read.memory_ids for read in log.reads] == [
        {"alex's": []},
        {"the tenant's": []},
        {"the tenant's": []},
    ]


async def test_an_error_is_recorded_and_raised_and_a_read_that_cannot_be_recorded_is_not_answered() -> None:
    log = Kept()
    with pytest.raises(InvalidInput):
        await verbs(log).find("")
    assert (log.reads[0].body.decision, log.reads[0].body.error) == ("failed", "InvalidInput")
    with pytest.raises(ReadNotRecorded):
        await verbs(Kept(refuses=True)).find("x", gives=[("alex's", "a")])


async def test_a_cancelled_read_is_recorded() -> None:
    log, began = Kept(), asyncio.Event()

    class Slow(Verbs):
        @recorded("slow")
        async def slow(self) -> None:
            began.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(Slow(verbs(log).reads).slow())
    await began.wait()
    task.cancel()
    await asyncio.wait([task])
    assert [(read.body.decision, read.body.error) for read in log.reads] == [("failed", "CancelledError")]


async def test_reads_at_the_same_time_do_not_mix() -> None:
    log = Kept()
    asked = verbs(log)
    await asyncio.gather(*(asked.find("x", gives=[(f"{n}'s", [f"m{n}"])]) for n in range(20)))
    assert sorted(str(read.memory_ids) for read in log.reads) == sorted(
        str({f"{n}'s": [f"m{n}"]}) for n in range(20)
    )


async def test_a_look_that_finds_nothing_is_no_read() -> None:
    log = Kept()
    await verbs(log).look(found=False)
    assert log.reads == []
    await verbs(log).look(found=True)
    assert len(log.reads) == 1


async def test_more_memories_than_an_event_names_are_all_of_them() -> None:
    log = Kept()
    for count in (MOST_NAMED, MOST_NAMED + 1):
        await verbs(log).find("x", gives=[("alex's", [str(n) for n in range(count)])])
    assert [len(read.memory_ids["alex's"]) for read in log.reads] == [MOST_NAMED, 1]
    assert log.reads[1].memory_ids["alex's"] == ["*"]


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        (None, 0),
        ({"id": "m", "memory": "tea", "metadata": {}}, 1),
        ({"results": [1, 2], "relations": [3]}, 2),
        ({"entities": ["x"], "relations": [1], "more": False}, 1),
        ({"head": {}, "results": {"bindings": [1, 2, 3]}}, 3),
        ({"head": {}, "boolean": False}, 1),
        ({"id": "m", "memory": "tea", "versions": [1, 2]}, 2),
        ({"added": [1], "changed": [], "gone": [2], "relations_begun": [], "relations_ended": [3]}, 3),
        ([1, 2], 2),
        ("@prefix", 1),
    ],
)
def test_how_many_things_an_answer_holds(answer: object, count: int) -> None:
    assert count_of(answer) == count
