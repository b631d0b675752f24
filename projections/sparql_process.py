"""One SPARQL query over one dataset, in a process of its own: whatever the query does, this process can be killed.

    stdin    one line of JSON (see `ask`), then the dataset as N-Quads
    stdout   {"answer": SPARQL JSON} or {"wrong": why} or {"many": the limit that was passed}

Before the query is looked at, the process gives up what it does not need: from then on it can open no file and no socket, whatever
the query says (SERVICE), takes no more memory and processor time than it may, and leaves no core file. It is run by its path, so
that it imports Oxigraph and nothing of memfold: it is up in 40 ms.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from typing import Any

import pyoxigraph as ox

Term = ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple

_WORDS = re.compile(
    r"""
    \# [^\n\r]*
    | <[^<>"{}|^`\\\x00-\x20]*>
    | \"{3} .*? (?<!\\) \"{3} | '{3} .*? (?<!\\) '{3}
    | "(?:[^"\\\n\r]|\\.)*" | '(?:[^'\\\n\r]|\\.)*'
    | [?$@]\w+ | [\w.-]*:[\w.:%\\-]*
    | (?P<word>\w+)
    """,
    re.VERBOSE | re.DOTALL,
)
"""What a query consists of, so that only its own words are looked at: not those in texts, IRIs, names, variables and comments."""

REFUSED = {
    "SERVICE": "SERVICE would ask another server; a query sees this graph only",
    "FROM": "FROM would choose other graphs; a query sees this graph only, and its provenance with GRAPH ?g",
}


def refusal(query: str) -> str | None:
    """Why a query is not even tried. It only spares people an empty answer: that SERVICE reaches nothing is the limits' work."""
    words = (found["word"] for found in _WORDS.finditer(query) if found["word"])
    return next((REFUSED[word.upper()] for word in words if word.upper() in REFUSED), None)


def ask(store: ox.Store, asked: dict[str, Any]) -> dict[str, Any]:
    """`asked`: {query, prefixes, graph: IRI of the default graph, provenance: IRI of the other, parameters: terms by variable, limit}."""
    if why := refusal(asked["query"]):
        return {"wrong": why}
    bound: dict[ox.Variable, Term] = {
        ox.Variable(name): term_of(value) for name, value in asked["parameters"].items()
    }
    try:
        found = store.query(
            asked["query"],
            prefixes=asked["prefixes"],
            default_graph=ox.NamedNode(asked["graph"]),
            named_graphs=[ox.NamedNode(asked["provenance"])],
            substitutions=bound,
        )
        return answer(found, asked["limit"])
    except (SyntaxError, ValueError, RuntimeError, OSError) as wrong:
        return {"wrong": str(wrong)}


def answer(found: ox.QuerySolutions | ox.QueryBoolean | ox.QueryTriples, limit: int) -> dict[str, Any]:
    """Triples that were constructed are rows of subject, predicate and object."""
    if isinstance(found, ox.QueryBoolean):
        return {"answer": {"head": {}, "boolean": bool(found)}}
    names = ["subject", "predicate", "object"]
    if isinstance(found, ox.QuerySolutions):
        names = [variable.value for variable in found.variables]
    rows: list[dict[str, Any]] = []
    for row in found:
        if len(rows) == limit:
            return {"many": limit}
        rows.append({name: told(term) for name, term in zip(names, row, strict=True) if term is not None})
    return {"answer": {"head": {"vars": names}, "results": {"bindings": rows}}}


def told(term: Term) -> dict[str, Any]:
    """A term as SPARQL JSON has it."""
    if isinstance(term, ox.NamedNode):
        return {"type": "uri", "value": term.value}
    if isinstance(term, ox.BlankNode):
        return {"type": "bnode", "value": term.value}
    if isinstance(term, ox.Triple):
        parts = {"subject": term.subject, "predicate": term.predicate, "object": term.object}
        return {"type": "triple", "value": {name: told(part) for name, part in parts.items()}}
    found = {"type": "literal", "value": term.value}
    if term.language:
        return found | {"xml:lang": term.language}
    plain = term.datatype.value == "http://www.w3.org/2001/XMLSchema#string"
    return found if plain else found | {"datatype": term.datatype.value}


def term_of(value: dict[str, str]) -> ox.NamedNode | ox.Literal:
    """A term from SPARQL JSON, for a parameter."""
    if value["type"] == "uri":
        return ox.NamedNode(value["value"])
    datatype = value.get("datatype")
    return ox.Literal(value["value"], datatype=None if datatype is None else ox.NamedNode(datatype))


def give_up(memory: int, seconds: int) -> None:
    """No new file or socket, no more memory (bytes) or processor time than this, no core file."""
    for kind, most in (
        (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def main() -> None:
    asked = json.loads(sys.stdin.buffer.readline())
    store = ox.Store()
    store.load(sys.stdin.buffer.read(), format=ox.RdfFormat.N_QUADS)
    give_up(asked["memory"], asked["seconds"])
    sys.stdout.write(json.dumps(ask(store, asked)))


if __name__ == "__main__":
    main()
