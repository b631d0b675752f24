"""One call is one trace, on a real stack and with a real receiver of OTLP; and a process without OpenTelemetry is as it was."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, nullcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from opentelemetry.sdk.trace import TracerProvider

from memfold import AsyncMemory, Memory
from memfold.memory.errors import InvalidInput
from memfold.projections.archive_source import ArchiveSource
from memfold.schemas.partitions import COMMANDS, EVENTS
from memfold.schemas.records import LogRecord
from memfold.serve.embedded import running_stack
from memfold.serve.otel_traces import OtelTraces
from memfold.serve.settings import Settings, settings_from
from memfold.serve.tracing import endpoint_of
from memfold.streams.reader import LogReader
from memfold.streams.traces import LIVE, Attributes, trace_applied, traceparent_in
from tests.serve.otlp_receiver import OtlpReceiver

PROJECTIONS = {"vector", "graph", "archive"}
WAY = {"add", "decide"} | PROJECTIONS


@pytest.fixture
async def traced(stack: Settings, receiver: OtlpReceiver) -> AsyncIterator[AsyncMemory]:
    async with AsyncMemory(home=stack.home, otel_endpoint=receiver.url) as memory:
        yield memory


async def test_one_add_is_one_trace_down_to_the_last_projection(
    traced: AsyncMemory, receiver: OtlpReceiver
) -> None:
    added = await traced.add("I met Sarah from Google", user_id=f"traced-{uuid.uuid4().hex}")
    receipt = added["receipt"]
    decide = await receiver.decision_of(receipt["command_id"])
    spans = await receiver.trace(decide.trace, PROJECTIONS | {"decide"})
    await traced.close()
    spans = await receiver.trace(decide.trace, WAY)
    add = spans["add"]
    assert set(spans) == WAY
    assert (add.parent, decide.parent) == ("", add.id)
    assert {spans[name].parent for name in PROJECTIONS} == {decide.id}
    assert {span.name: span.service for span in spans.values()} == {
        "add": "memfold-client",
        **dict.fromkeys(PROJECTIONS | {"decide"}, "memfold-worker"),
    }
    place = {"memfold.partition": receipt["partition"], "memfold.command_offset": receipt["offset"]}
    assert add.notes == [("in the log", {"memfold.command_id": receipt["command_id"], **place})]
    assert (
        decide.attributes.items() >= {**place, "memfold.outcome": "decided", "memfold.operations": 1}.items()
    )
    assert decide.attributes["memfold.relations"] == len(added["relations"])
    for name in PROJECTIONS:
        told = spans[name].attributes
        assert told["memfold.event_offset"] == decide.attributes["memfold.event_offset"]
        assert add.began <= decide.began <= decide.ended
        assert spans[name].began <= spans[name].ended


async def test_many_commands_of_one_call_are_in_its_trace(
    traced: AsyncMemory, receiver: OtlpReceiver
) -> None:
    items = [{"messages": f"number {n} of many"} for n in range(101)]
    added = await traced.add_many(items, user_id="traced-many", infer=False)
    decisions = [await receiver.decision_of(receipt["command_id"]) for receipt in added["receipts"]]
    assert len(decisions) == 2
    assert len({(one.trace, one.parent) for one in decisions}) == 1


async def test_nothing_that_was_said_and_nobody_is_in_any_span(
    traced: AsyncMemory, stack: Settings, receiver: OtlpReceiver
) -> None:
    who, word, agent, run, key, meta = (
        f"{kind}{uuid.uuid4().hex}" for kind in ("w", "Zx", "a", "r", "k", "m")
    )
    whose: dict[str, Any] = {"user_id": who, "agent_id": agent, "run_id": run}
    added = await traced.add(
        f"My sister {word} works at Google", **whose, actor_id=f"actor-{who}", metadata={meta: word},
        idempotency_key=key,
    )  # fmt: skip
    one = added["results"][0]["id"]
    await traced.search(f"where does {word} work", user_id=who)
    await traced.update(one, f"My sister {word} works at Apple")
    await traced.relations(user_id=who, entity=word)
    with pytest.raises(InvalidInput, match=word):
        await traced.get(word)
    with pytest.raises(InvalidInput, match="the query cannot be answered"):
        await traced.sparql(f"SELECT {word}", user_id=who)
    deleted = await traced.delete(one)
    await receiver.trace((await receiver.decision_of(deleted["receipt"]["command_id"])).trace, PROJECTIONS)
    await traced.close()
    failed = await receiver.span(lambda span: span.name == "sparql" and span.failed)
    assert failed.attributes == {"error.type": "InvalidInput"}
    await receiver.span(lambda span: span.name == "get" and span.failed)
    sent = b"".join(receiver.bodies)
    assert added["receipt"]["command_id"].encode() in sent, "what is sent can be looked into"
    assert not [said for said in (who, word, agent, run, key, meta) if said.encode() in sent]
    assert stack.tenant.encode() not in sent


def test_a_call_in_a_span_of_the_application_is_a_child_of_it(
    stack: Settings, receiver: OtlpReceiver
) -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("application")
    with Memory(home=stack.home, otel_endpoint=receiver.url) as memory:
        with tracer.start_as_current_span("answer a question") as mine:
            memory.search("tea", user_id="traced-application")
        outer = mine.get_span_context()
    found = asyncio.run(receiver.span(lambda span: span.trace == f"{outer.trace_id:032x}"))
    assert (found.name, found.parent) == ("search", f"{outer.span_id:016x}")


async def test_a_command_of_a_caller_without_traces_begins_one(
    memory: AsyncMemory, receiver: OtlpReceiver
) -> None:
    added = await memory.add("I like tea", user_id="traced-root", infer=False)
    decide = await receiver.decision_of(added["receipt"]["command_id"])
    spans = await receiver.trace(decide.trace, PROJECTIONS | {"decide"})
    assert decide.parent == ""
    assert {spans[name].parent for name in PROJECTIONS} == {decide.id}


async def test_the_log_carries_the_trace_beside_its_records_and_the_archive_does_not(
    traced: AsyncMemory, stack: Settings, receiver: OtlpReceiver
) -> None:
    added = await traced.add("I like green tea", user_id="traced-header", infer=False)
    receipt = added["receipt"]
    decide = await receiver.decision_of(receipt["command_id"])
    servers = running_stack(stack)
    assert servers is not None
    places = [
        (COMMANDS, receipt["offset"], decide.parent),
        (EVENTS, decide.attributes["memfold.event_offset"], decide.id),
    ]
    await receiver.trace(decide.trace, PROJECTIONS)
    connection, archive = stack.connection(servers), ArchiveSource(stack.folder / "archive")
    with closing(LogReader(connection, traced=True)) as following, closing(LogReader(connection)) as reader:
        for topic, offset, span in places:
            ((live,),) = following.read(topic, receipt["partition"], offset, offset + 1)
            ((bare,),) = reader.read(topic, receipt["partition"], offset, offset + 1)
            assert live.traceparent.decode().startswith(f"00-{decide.trace}-{span}-")
            assert bare == structs.replace(live, traceparent=b""), topic
            if topic == EVENTS:
                ((kept,),) = archive.batches(topic, receipt["partition"], offset, offset)
                assert kept == bare


PROGRAM = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

if "absent" in sys.argv:
    sys.meta_path.insert(0, Absent())

from memfold import Memory
from memfold.memory.errors import InvalidInput

with Memory() as memory:
    print(memory.add("I like tea", user_id="untraced", infer=False)["results"][0]["memory"])
if "absent" in sys.argv:
    try:
        Memory(otel_endpoint="http://127.0.0.1:4318").connect()
    except InvalidInput as refused:
        print(refused)
print([name for name in sys.modules if name.partition(".")[0] == "opentelemetry"])
"""


def said_by(program: str, *arguments: str, **environment: str) -> tuple[list[str], str]:
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


def test_a_process_without_traces_imports_nothing_for_them(stack: Settings) -> None:
    said, _ = said_by(PROGRAM, MEMFOLD_HOME=str(stack.folder))
    assert said == ["I like tea", "[]"]


def test_without_the_extra_all_works_and_a_setting_says_what_is_missing(stack: Settings) -> None:
    said, logged = said_by(
        PROGRAM,
        "absent",
        MEMFOLD_HOME=str(stack.folder),
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318",
    )
    missing = 'OpenTelemetry is not installed: pip install "memfold[otel]"'
    assert said == [
        "I like tea",
        f"MEMFOLD_OTEL_ENDPOINT is http://127.0.0.1:4318, and {missing}, or unset it",
        "[]",
    ]
    assert f"memfold sends no traces: {missing}" in logged


@pytest.fixture
def silent() -> Iterator[str]:
    """A collector that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


async def test_a_collector_that_does_not_answer_is_waited_for_by_nobody(
    stack: Settings, silent: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Were it waited for, this would not end.
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3600")
    async with AsyncMemory(home=stack.home, otel_endpoint=silent) as memory:
        added = await memory.add("I like tea", user_id="traced-silent", infer=False)
        traces = memory._tracing.traces()
        assert traces is not None
        for _ in range(5_000):
            traces.begin("vector", b"", {}).end({})
    assert added["results"]
    assert "Queue full, dropping Span" in caplog.text


def test_a_collector_that_is_away_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    traces = OtelTraces(f"http://127.0.0.1:{port}/v1/traces", "memfold-worker")
    traces.begin("vector", b"", {}).end({})
    traces.close()
    told = [line.getMessage() for line in caplog.records if line.levelno >= logging.WARNING]
    assert any(f"port={port}" in line for line in told), told


@pytest.fixture(scope="module")
def unsent() -> Iterator[OtelTraces]:
    traces = OtelTraces("http://127.0.0.1:9/v1/traces", "test")
    yield traces
    traces.close()


@given(st.binary(max_size=80) | st.from_regex(rb"\A00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]\Z"))
def test_whatever_stands_in_the_header_a_span_has_a_context(unsent: OtelTraces, parent: bytes) -> None:
    own = unsent.begin("decide", traceparent_in([("other", b"x"), ("traceparent", parent)]), {}).traceparent
    assert len(own) == 55
    if (
        len(parent) == 55
        and parent.startswith(b"00-")
        and b"-" + b"0" * 16 not in parent
        and b"0" * 32 not in parent
    ):
        assert own[:35] == parent[:35], "the same trace"
        assert own != parent


def test_only_events_that_are_new_and_belong_to_a_trace_begin_a_span() -> None:
    class Kept:
        def __init__(self) -> None:
            self.begun: list[tuple[str, bytes, int | str, int | None]] = []

        def begin(
            self, name: str, parent: bytes, attributes: Attributes, started_ns: int | None = None
        ) -> Kept:
            self.begun.append((name, parent, attributes["memfold.event_offset"], started_ns))
            return self

        traceparent = b""

        def tell(self, attributes: Attributes) -> None: ...
        def note(self, name: str, attributes: Attributes) -> None: ...
        def end(self, attributes: Attributes) -> None: ...
        def verb(self, name: str) -> nullcontext[None]:
            return nullcontext()

        def current(self) -> None:
            return None

    now = int(time.time() * 1000)
    old = now - int(LIVE * 1000) - 60_000
    records = [
        LogRecord(EVENTS, 0, 0, now, b"", b"", b"a"),
        LogRecord(EVENTS, 0, 1, now, b"", b""),
        LogRecord(EVENTS, 0, 2, old, b"", b"", b"b"),
        LogRecord(COMMANDS, 0, 3, now, b"", b"", b"c"),
        LogRecord(EVENTS, 0, 4, now, b"", b"", b"d"),
    ]
    kept = Kept()
    trace_applied(kept, "vector", records, 7)
    assert kept.begun == [("vector", b"a", 0, 7), ("vector", b"d", 4, 7)]
    trace_applied(None, "vector", records, 7)


@pytest.mark.parametrize(
    ("variables", "endpoint"),
    [
        ({}, None),
        ({"MEMFOLD_OTEL_ENDPOINT": "https://c:4318"}, "https://c:4318/v1/traces"),
        ({"MEMFOLD_OTEL_ENDPOINT": "http://c/x/v1/traces/"}, "http://c/x/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/"}, "http://c:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/spans"}, "http://c/spans"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, None),
        ({"MEMFOLD_OTEL_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, None),
    ],
)
def test_where_traces_go(
    variables: dict[str, str], endpoint: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert endpoint_of(settings_from()) == endpoint


def test_an_address_without_a_scheme_is_refused() -> None:
    with pytest.raises(InvalidInput, match="MEMFOLD_OTEL_ENDPOINT"):
        settings_from(otel_endpoint="collector:4318")
