"""An RDF store that speaks SPARQL 1.1 over HTTP: Fuseki, GraphDB, Blazegraph, Virtuoso, another Oxigraph.

The protocol is two requests (SPARQL 1.1 Protocol, 2.1.2 and 2.2.2). rdflib's own connector makes them without any time limit and
hides the server's message, so the requests are httpx's; what comes back, Oxigraph and rdflib read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import httpx2
import pyoxigraph as ox
from pydantic import BaseModel, ConfigDict, Field

from memfold.projections.graph_quads import Quad, as_update
from memfold.projections.graph_terms import named
from memfold.stores.errors import StoreRefused, store_errors

MARKUP = re.compile(r"<[^>]*>")
SENT = 2_000
"""Quads in one update, some 500 KB: what endpoints take with their defaults."""


class SparqlSettings(BaseModel):
    """Where the endpoint is. An update that fails half way is sent again whole, so it need not be transactional."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    query_endpoint: str = Field(description="The URL that answers queries.")
    update_endpoint: str = Field(description="The URL that takes updates; often the same one.")
    username: str | None = None
    password: str = Field(default="", repr=False)
    timeout: float = Field(default=60.0, gt=0, description="Seconds for one request.")


class SparqlEndpoint:
    """Updates and CONSTRUCTs, for one process. Every method raises StoreUnavailable, StoreRefused."""

    def __init__(self, settings: SparqlSettings) -> None:
        self._query, self._update = settings.query_endpoint, settings.update_endpoint
        auth = None if settings.username is None else (settings.username, settings.password)
        self._client = httpx2.Client(timeout=settings.timeout, auth=auth, follow_redirects=True)

    def check(self) -> None:
        """Ask it something that changes nothing."""
        self._post(
            self._query, "ASK {}", "application/sparql-query", accept="application/sparql-results+json"
        )

    def change(self, removed: Iterable[Quad], added: Iterable[Quad]) -> None:
        """Remove quads, then add: both are sets, so sending the same again changes nothing."""
        gone, come = list(removed), list(added)
        while gone or come:
            now, gone = gone[:SENT], gone[SENT:]
            room = SENT - len(now)
            then, come = come[:room], come[room:]
            self._send(as_update(now, then))

    def drop(self, graphs: Iterable[str]) -> None:
        """Remove named graphs; one that is not there is no error."""
        for graph in graphs:
            self._send(f"DROP SILENT GRAPH {named(graph)}")

    def graph(self, iri: str) -> set[str]:
        """The triples of a named graph, as N-Triples writes them."""
        query = f"CONSTRUCT {{ ?s ?p ?o }} WHERE {{ GRAPH {named(iri)} {{ ?s ?p ?o }} }}"
        answer = self._post(self._query, query, "application/sparql-query", accept="application/n-triples")
        # Through a store: it writes numbers and times in one way, whatever way the endpoint kept them.
        held = ox.Store()
        held.load(answer.content, format=ox.RdfFormat.N_TRIPLES)
        return {str(quad.triple) for quad in held}

    def close(self) -> None:
        self._client.close()

    def _send(self, update: str) -> None:
        self._post(self._update, update, "application/sparql-update", accept="*/*")

    def _post(self, url: str, text: str, kind: str, accept: str) -> httpx2.Response:
        headers = {"Content-Type": f"{kind}; charset=utf-8", "Accept": accept}
        with store_errors(url, (httpx2.TransportError,), (httpx2.HTTPError, httpx2.InvalidURL)):
            answer = self._client.post(url, content=text.encode(), headers=headers)
        if not answer.is_success:
            said = " ".join(MARKUP.sub(" ", answer.text).split())
            raise StoreRefused(f"{url} refused: HTTP {answer.status_code} {said[:300]}")
        return answer
