"""SPARQL over one subject's graph: what it answers, and what it cannot be made to do."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from socket import create_server
from threading import Thread
from typing import Any

import psutil
import pytest

from memfold.memory import exploring
from memfold.memory.errors import InvalidInput, InvalidType, QueryStopped
from memfold.memory.ports import SparqlAsked
from memfold.projections import graph_export, graph_sparql, sparql_process
from memfold.projections.graph import GraphShard
from memfold.projections.graph_index import OxigraphRelations
from memfold.projections.graph_sparql import OxigraphSparql
from memfold.projections.graph_terms import SubjectGraph, assertion_iri, entity_iri
from memfold.projections.sparql_process import refusal
from memfold.schemas.records import Scope
from tests.projections.graph_events import ALEX, KIM, asserts, event, feed, retracts

MINE = SubjectGraph("acme", ALEX)
WHO = "SELECT ?who { ?one relationship:WORKS_AT ?it . ?one rdfs:label ?who . ?it rdfs:label ?where } ORDER BY ?who"
BOMB = f"SELECT (COUNT(*) AS ?n) {{ {' . '.join(f'?a{n} ?b{n} ?c{n}' for n in range(12))} }}"


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[GraphShard]:
    with closing(GraphShard(tmp_path / "p0000", 0)) as shard:
        works = asserts("a1", "Sarah", "WORKS_AT", "Google", types=("PERSON", "COMPANY"))
        feed(shard, event(0, works, asserts("a2", "Tom", "WORKS_AT", "Meta"), scope=Scope("alex", "planner")))
        feed(shard, event(1, asserts("a3", "Sarah", "LIKES", "tea"), asserts("a4", "Sarah", "LIKES", "milk")))
        feed(shard, event(2, retracts("a4")))
        feed(shard, event(3, asserts("a5", "Kim", "WORKS_AT", "secret"), subject=KIM))
        yield shard


async def ask(
    shard: GraphShard,
    query: str,
    *,
    scope: Scope | None = None,
    timeout: float = 60,
    limit: int = 100,
    **bound: Any,
) -> dict[str, Any]:
    dataset = await OxigraphRelations({0: shard}).export(*MINE, scope or Scope(), "n-quads")
    return await OxigraphSparql().answer(*MINE, dataset, SparqlAsked(query, bound, timeout, limit))


def column(answer: dict[str, Any]) -> list[str]:
    (name,) = answer["head"]["vars"]
    return [row[name]["value"] for row in answer["results"]["bindings"]]


async def test_what_holds_is_the_default_graph(shard: GraphShard) -> None:
    assert column(await ask(shard, WHO)) == ["Sarah", "Tom"]
    liked = "SELECT ?what { entity:sarah relationship:LIKES/rdfs:label ?what }"
    assert column(await ask(shard, liked)) == ["tea"]
    assert column(await ask(shard, WHO, scope=Scope(agent_id="chef"))) == []
    assert column(await ask(shard, liked, scope=Scope(agent_id="planner"))) == []


async def test_provenance_is_the_only_named_graph_and_knows_what_ended(shard: GraphShard) -> None:
    ended = "SELECT ?it { GRAPH ?g { ?it a rdf:Statement ; prov:invalidatedAtTime ?at } }"
    assert column(await ask(shard, ended)) == [assertion_iri("a4")]
    graphs = "SELECT DISTINCT ?g { GRAPH ?g { ?s ?p ?o } }"
    assert column(await ask(shard, graphs)) == [f"urn:memfold:g/acme/{ALEX}/prov"]


async def test_nothing_of_anybody_else_is_there(shard: GraphShard) -> None:
    everything = "SELECT ?v { { ?s ?p ?v } UNION { GRAPH ?g { ?s ?p ?v } } }"
    found = " ".join(column(await ask(shard, everything, limit=10_000)))
    assert "Sarah" in found
    assert "secret" not in found
    assert KIM not in found


async def test_ask_and_construct_answer_in_sparql_json(shard: GraphShard) -> None:
    assert await ask(shard, "ASK { ?x relationship:LIKES ?y }") == {"head": {}, "boolean": True}
    made = await ask(shard, "CONSTRUCT { ?x <urn:drinks> ?y } WHERE { ?x relationship:LIKES ?y }")
    assert made["head"]["vars"] == ["subject", "predicate", "object"]
    (row,) = made["results"]["bindings"]
    assert row["subject"] == {"type": "uri", "value": entity_iri(MINE, "sarah")}
    assert row["predicate"]["value"] == "urn:drinks"
    kinds = 'SELECT ?a ?b ?c ?d { BIND("x"@en AS ?a) BIND(1.5 AS ?b) BIND(BNODE() AS ?c) OPTIONAL { ?d <urn:no> ?e } }'
    (row,) = (await ask(shard, kinds))["results"]["bindings"]
    assert row["a"] == {"type": "literal", "value": "x", "xml:lang": "en"}
    assert row["b"]["datatype"] == "http://www.w3.org/2001/XMLSchema#decimal"
    assert (row["c"]["type"], "d" in row) == ("bnode", False)


@pytest.mark.parametrize(
    "name", ['Sarah" } UNION { ?x ?y ?z', "Sarah", '"', "} ; DROP ALL #", "\\", "' OR 1=1"]
)
async def test_a_parameter_is_a_value_whatever_it_holds(shard: GraphShard, name: str) -> None:
    query = "SELECT ?name ?it { ?it rdfs:label ?name }"
    bound: dict[str, Any] = {"name": name}
    found = await ask(shard, query, **bound)
    assert len(found["results"]["bindings"]) == (1 if name == "Sarah" else 0)


async def test_parameters_of_every_kind(shard: GraphShard) -> None:
    bound: dict[str, Any] = {"a": 1, "b": True, "c": 0.5, "d": datetime(2026, 3, 3), "e": "x"}
    found = await ask(shard, "SELECT ?a ?b ?c ?d ?e ?f { }", **bound, f={"type": "uri", "value": "urn:x"})
    (row,) = found["results"]["bindings"]
    kinds = {name: value.get("datatype", value["type"]).rpartition("#")[2] for name, value in row.items()}
    assert kinds == {
        "a": "integer",
        "b": "boolean",
        "c": "double",
        "d": "dateTime",
        "e": "literal",
        "f": "uri",
    }
    with pytest.raises(InvalidType, match="parameters\\['a'\\]"):
        await ask(shard, "SELECT ?a {}", a=[1])
    with pytest.raises(InvalidInput, match="'a b', which is no variable"):
        await ask(shard, "SELECT ?a {}", **dict[str, Any]({"a b": 1}))
    with pytest.raises(InvalidInput, match="does not contains variable"):
        await ask(shard, "SELECT ?a {}", b=1)


async def test_a_cross_join_is_stopped_and_leaves_no_process(shard: GraphShard) -> None:
    with pytest.raises(QueryStopped, match=r"longer than 0\.5 s"):
        await ask(shard, BOMB, timeout=0.5)
    assert not running()


async def test_a_caller_that_gives_up_stops_the_query(shard: GraphShard) -> None:
    asking = asyncio.create_task(ask(shard, BOMB))
    while not running():  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not running()


def running() -> list[psutil.Process]:
    mine = psutil.Process().children()
    return [one for one in mine if any(word.endswith("sparql_process.py") for word in one.cmdline())]


async def test_a_query_that_wants_all_memory_is_stopped(
    shard: GraphShard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_sparql, "MEMORY", 400 * 2**20)
    query = BOMB.replace("(COUNT(*) AS ?n)", "*") + " ORDER BY ?a1"
    with pytest.raises(QueryStopped, match="more than 400 MB"):
        await ask(shard, query)


async def test_more_rows_than_the_limit_are_refused_and_as_many_are_not(shard: GraphShard) -> None:
    assert len(column(await ask(shard, WHO, limit=2))) == 2
    with pytest.raises(QueryStopped, match="more than 1 rows"):
        await ask(shard, WHO, limit=1)
    with pytest.raises(QueryStopped, match="more than 1 rows"):
        await ask(shard, "CONSTRUCT { ?a ?b ?c } WHERE { ?a ?b ?c }", limit=1)


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("SELECT ?x", "expected"),
        ("INSERT DATA { <urn:a> <urn:b> <urn:c> }", "expected"),
        ("DROP ALL", "expected"),
        ("LOAD <file:///etc/passwd>", "expected"),
        ("SELECT * FROM <urn:memfold:g/acme/other> { ?s ?p ?o }", "FROM would choose"),
        ("SELECT * from named <urn:x> { GRAPH ?g { ?s ?p ?o } }", "FROM would choose"),
        ("SELECT * { SERVICE <http://127.0.0.1:8080/> { ?s ?p ?o } }", "SERVICE would ask"),
        ("SELECT * { # \n service silent ?where { ?s ?p ?o } }", "SERVICE would ask"),
    ],
)
async def test_what_is_no_question_to_this_graph_is_refused(
    shard: GraphShard, query: str, wrong: str
) -> None:
    with pytest.raises(InvalidInput, match=wrong):
        await ask(shard, query)


@pytest.mark.parametrize(
    "query",
    [
        'SELECT * { ?service <urn:from> "SERVICE <x>" }',
        "SELECT * { ?s <urn:SERVICE> ?from } # FROM here",
        "PREFIX service: <urn:x> SELECT * { ?s service:from 'it''s' }",
        'SELECT * { ?s ?p """a " SERVICE """ , \'\'\'FROM\'\'\' , "a\\"FROM"@from }',
    ],
)
def test_a_word_is_refused_only_where_it_is_one(query: str) -> None:
    assert refusal(query) is None


@pytest.mark.parametrize(("held", "asked"), [(True, 0), (False, 1)])
def test_no_query_reaches_the_network_even_if_the_words_are_not_seen(held: bool, asked: int) -> None:
    """Without what the process gives up, the same query does reach the server: so the test can see it."""
    with create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        port = server.getsockname()[1]
        calls: list[bytes] = []
        listening = Thread(target=_answer_calls, args=(server, calls), daemon=True)
        listening.start()
        query = f"SELECT * {{ SERVICE SILENT <http://127.0.0.1:{port}/> {{ ?s ?p ?o }} }}"
        request: dict[str, Any] = {
            "query": query,
            "prefixes": {},
            "graph": "urn:g",
            "provenance": "urn:p",
            "parameters": {},
        }
        request |= {"limit": 10, "memory": 2**31, "seconds": 60}
        program = (
            "import importlib.util as u; s = u.spec_from_file_location('p', r'"
            + sparql_process.__file__
            + "')\n"
            "p = u.module_from_spec(s); s.loader.exec_module(p); p.REFUSED.clear()\n"
            + ("" if held else "p.give_up = lambda memory, seconds: None\n")
            + "p.main()"
        )
        done = subprocess.run(
            [sys.executable, "-P", "-c", program],
            input=json.dumps(request) + "\n",
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["answer"]["results"]["bindings"] == [{}]
        assert len(calls) == asked


def _answer_calls(server: Any, calls: list[bytes]) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            calls.append(connection.recv(1000))
            connection.sendall(b"HTTP/1.1 500 no\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


async def test_an_unknown_subject_has_an_empty_graph() -> None:
    empty = await OxigraphRelations({}).export("acme", "", Scope(), "n-quads")
    asked = SparqlAsked("SELECT ?s { ?s ?p ?o }", {}, 60, 10)
    assert column(await OxigraphSparql().answer("acme", "", empty, asked)) == []


async def test_an_export_stays_inside_the_scope(shard: GraphShard) -> None:
    text = await OxigraphRelations({0: shard}).export(*MINE, Scope(agent_id="planner"), "trig")
    assert "Google" in text
    assert "tea" not in text
    assert await OxigraphRelations({0: shard}).export(*MINE, Scope(), "trig") == shard.export(*MINE, "trig")


def test_the_formats_are_those_that_there_are() -> None:
    assert set(exploring.FORMATS) == set(graph_export.FORMATS)
