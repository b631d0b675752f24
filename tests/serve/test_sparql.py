"""SPARQL and RDF of a user's own graph, on a real stack."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from rdflib import Graph
from rdflib.namespace import PROV, RDF

from memfold import AsyncMemory
from memfold.memory.errors import InvalidInput, InvalidType, QueryStopped
from memfold.serve.settings import Settings
from tests.serve.test_cli import parsed, run

WHO = "SELECT ?who ?where { ?one relationship:WORKS_AT ?it . ?one rdfs:label ?who . ?it rdfs:label ?where }"


@pytest.fixture
def alex() -> str:
    return f"alex-{uuid.uuid4().hex[:8]}"


async def test_who_works_where(memory: AsyncMemory, alex: str) -> None:
    await memory.add("I met Sarah from Google", user_id=alex)
    await memory.add("I met Tom from Meta", user_id=f"bob-{alex}")
    found = await memory.sparql(WHO, user_id=alex)
    assert found == {
        "head": {"vars": ["who", "where"]},
        "results": {
            "bindings": [
                {
                    "who": {"type": "literal", "value": "Sarah"},
                    "where": {"type": "literal", "value": "Google"},
                }
            ]
        },
    }
    assert (await memory.sparql(WHO, user_id=alex, parameters={"where": "Meta"}))["results"]["bindings"] == []
    assert (await memory.sparql(WHO, user_id=f"nobody-{alex}"))["results"]["bindings"] == []
    with pytest.raises(QueryStopped, match="more than 1 rows"):
        await memory.sparql("SELECT * { ?s ?p ?o }", user_id=alex, limit=1)


async def test_what_cannot_be_asked_is_named(memory: AsyncMemory, alex: str) -> None:
    with pytest.raises(InvalidInput, match="SERVICE would ask"):
        await memory.sparql("SELECT * { SERVICE <http://127.0.0.1:1/> { ?s ?p ?o } }", user_id=alex)
    with pytest.raises(InvalidInput, match="timeout is 0"):
        await memory.sparql(WHO, user_id=alex, timeout=0)
    with pytest.raises(InvalidInput, match="65537 characters"):
        await memory.sparql(" " * 65536 + "x", user_id=alex)
    with pytest.raises(InvalidType, match="parameters must be a dict"):
        await memory.sparql(WHO, user_id=alex, parameters=["x"])  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"'xlsx'.*json-ld"):
        await memory.export(user_id=alex, format="xlsx")
    with pytest.raises(InvalidInput, match="user_id, agent_id and run_id"):
        await memory.sparql(WHO)


async def test_an_export_holds_its_provenance(memory: AsyncMemory, alex: str) -> None:
    added = await memory.add("I met Sarah from Google", user_id=alex)
    graph = Graph().parse(data=await memory.export(user_id=alex), format="turtle")
    statements = set(graph.subjects(RDF.type, RDF.Statement))
    assert len(statements) == 2
    commands = {str(graph.value(one, PROV.wasGeneratedBy)) for one in statements}
    assert commands == {f"urn:memfold:command/{added['receipt']['command_id']}"}
    assert isinstance(json.loads(await memory.export(user_id=alex, format="json-ld")), list | dict)
    assert await memory.export(user_id=f"nobody-{alex}", format="n-quads") == ""


def test_on_the_command_line(stack: Settings, alex: str, tmp_path: Path) -> None:
    parsed(stack, "add", "I met Sarah from Google", "--user", alex)
    found = parsed(stack, "sparql", WHO, "--user", alex, "--parameter", "where=Google")
    assert [row["who"]["value"] for row in found["results"]["bindings"]] == ["Sarah"]
    assert "Sarah" in run(stack, "sparql", WHO, "--user", alex)
    assert run(stack, "sparql", "ASK { ?s ?p ?o }", "--user", alex) == "yes\n"
    with pytest.raises(InvalidInput, match="--parameter where has no value"):
        run(stack, "sparql", WHO, "--user", alex, "--parameter", "where")
    assert "prov:wasDerivedFrom" in run(stack, "export", "--user", alex)
    run(stack, "export", "--user", alex, "--format", "n-quads", "--output", str(tmp_path / "alex.nq"))
    assert "Sarah" in (tmp_path / "alex.nq").read_text()
