"""A mirror of the graph at a real Fuseki: filled, kept current, asked in SPARQL, verified and removed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import cast

import pytest
from rdflib.plugins.stores.sparqlstore import SPARQLStore
from rdflib.query import ResultRow

from memfold import AsyncMemory
from memfold.memory.errors import InvalidInput
from memfold.serve import mirroring
from memfold.serve.graph_mirrors import OpenGraphMirror
from memfold.serve.mirrors import Mirrors
from memfold.serve.settings import Settings
from memfold.serve.view_client import views_of
from tests.serve.test_mirrors import caught_up, keep
from tests.stores.fuseki import Fuseki

WORKS_AT = """
    SELECT ?who ?where { GRAPH ?graph {
        ?source <urn:memfold:relationship/WORKS_AT> ?target .
        ?source <http://www.w3.org/2000/01/rdf-schema#label> ?who .
        ?target <http://www.w3.org/2000/01/rdf-schema#label> ?where } }"""


@pytest.fixture(scope="module")
def fuseki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuseki]:
    server = Fuseki(tmp_path_factory.mktemp("fuseki"))
    yield server
    server.kill()


def asked(fuseki: Fuseki, query: str = WORKS_AT) -> list[tuple[str, ...]]:
    """As anybody would ask it: through rdflib's own client."""
    store = SPARQLStore(f"{fuseki.url}/query", returnFormat="json")
    return [tuple(map(str, cast(ResultRow, row))) for row in store.query(query)]


@pytest.mark.timeout(600)
async def test_a_graph_is_mirrored(stack: Settings, memory: AsyncMemory, fuseki: Fuseki) -> None:
    config = {"query_endpoint": f"{fuseki.url}/query", "update_endpoint": f"{fuseki.url}/update"}
    await memory.add("I met Sarah from Google", user_id="greta")
    await asyncio.to_thread(mirroring.add, stack, "rdf", "sparql", config, "kafka", lambda built: None)
    assert ("Sarah", "Google") in asked(fuseki)
    views = views_of(stack)
    process = keep(stack, "rdf")
    try:
        await memory.add("I met Tom from Siemens", user_id="greta")
        await caught_up(stack, views, "mirror-rdf")
        assert {("Sarah", "Google"), ("Tom", "Siemens")} <= {*asked(fuseki)}
        await memory.delete_all(user_id="greta")
        await caught_up(stack, views, "mirror-rdf")
        assert ("Tom", "Siemens") not in asked(fuseki)
        compared = await asyncio.to_thread(mirroring.verify, stack, "rdf", "kafka")
        assert len(compared) == 4
        assert all(one.equal for one in compared)
    finally:
        process.terminate()
        process.wait()
        await views.close()
    with pytest.raises(InvalidInput, match="in SPARQL"):
        OpenGraphMirror(Mirrors(stack.folder), Mirrors(stack.folder).get("rdf")).store()
    await asyncio.to_thread(mirroring.remove, stack, "rdf", False)
    assert asked(fuseki, "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } }") == [("0",)]
