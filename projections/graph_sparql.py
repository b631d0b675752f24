"""SPARQL over one subject's graph, in a process that is killed when the query takes too long.

Oxigraph cannot be told to stop a query (its Python interface has no cancellation), and a query may be a cross join of everything
with everything. So it runs beside the caller, over an export of the graph: see sparql_process.py for what holds it there.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memfold.memory.errors import InvalidInput, InvalidType, QueryStopped
from memfold.memory.ports import SparqlAsked
from memfold.projections.graph_terms import (
    BASE,
    PROV,
    RDF,
    RDFS,
    VOCABULARY,
    XSD,
    SubjectGraph,
    entity_iri,
    graph_iri,
    prov_iri,
)

MEMORY = 2 * 2**30
"""Bytes of address space; Python and Oxigraph take a tenth of it before the first row."""

_PROGRAM = Path(__file__).with_name("sparql_process.py")
_NAME = re.compile(r"[A-Za-z_]\w*")


class OxigraphSparql:
    """A `SparqlEngine`: a process for each query, which ends with it."""

    async def answer(self, tenant: str, subject: str, dataset: str, asked: SparqlAsked) -> dict[str, Any]:
        """SPARQL JSON. The triples that hold are the default graph, every assertion with its provenance the only named one.

        Raises InvalidInput, InvalidType, QueryStopped.
        """
        request = json.dumps(_request(SubjectGraph(tenant, subject), asked))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            str(_PROGRAM),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # Keys in the environment are no business of a query.
            env={"PATH": os.environ.get("PATH", "")},
        )
        try:
            said, failed = await asyncio.wait_for(
                process.communicate(f"{request}\n{dataset}".encode()), asked.timeout
            )
        except TimeoutError:
            raise QueryStopped(
                f"the query took longer than {asked.timeout:g} s and was stopped; make it narrower, or raise `timeout`"
            ) from None
        finally:
            await _ended(process)
        return _read(process.returncode, said, failed)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Also when the caller was cancelled: no query goes on that nobody waits for."""
    if process.returncode is None:
        process.kill()
        await process.wait()


def _read(status: int | None, said: bytes, failed: bytes) -> dict[str, Any]:
    if status != 0:
        # Rust ends the process where memory is refused; Python may still say so.
        told = failed.decode(errors="replace").strip().splitlines()
        raise QueryStopped(
            f"the query needed more than {MEMORY // 2**20} MB and was stopped, or its process died "
            f"(status {status}: {told[-1] if told else 'no message'}); make it narrower"
        )
    found: dict[str, Any] = json.loads(said)
    if "wrong" in found:
        raise InvalidInput(f"the query cannot be answered: {found['wrong']}")
    if "many" in found:
        raise QueryStopped(
            f"the query has more than {found['many']} rows; add a LIMIT or a narrower pattern, or raise `limit`"
        )
    answer: dict[str, Any] = found["answer"]
    return answer


def _request(graph: SubjectGraph, asked: SparqlAsked) -> dict[str, Any]:
    return {
        "query": asked.query,
        "prefixes": {
            "rdf": RDF,
            "rdfs": RDFS,
            "xsd": XSD,
            "prov": PROV,
            "mf": VOCABULARY,
            "relationship": f"{BASE}relationship/",
            "type": f"{BASE}type/",
            "entity": entity_iri(graph, ""),
        },
        "graph": graph_iri(graph),
        "provenance": prov_iri(graph),
        "parameters": {_name(name): term(name, value) for name, value in asked.parameters.items()},
        "limit": asked.limit,
        "memory": MEMORY,
        "seconds": math.ceil(asked.timeout) + 1,
    }


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"parameters has {name!r}, which is no variable; write 'name' for ?name")
    return name


def term(name: str, value: object) -> dict[str, str]:
    """A parameter as a term in SPARQL JSON: texts, numbers, booleans, times, or {"type": "uri", "value": ...}."""
    if isinstance(value, str):
        return {"type": "literal", "value": value}
    if isinstance(value, bool):
        return {"type": "literal", "value": str(value).lower(), "datatype": XSD + "boolean"}
    if isinstance(value, int):
        return {"type": "literal", "value": str(value), "datatype": XSD + "integer"}
    if isinstance(value, float):
        return {"type": "literal", "value": repr(value), "datatype": XSD + "double"}
    if isinstance(value, datetime):
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value
        return {"type": "literal", "value": moment.isoformat(), "datatype": XSD + "dateTime"}
    if isinstance(value, Mapping) and value.get("type") == "uri" and isinstance(value.get("value"), str):
        return {"type": "uri", "value": value["value"]}
    raise InvalidType(
        f"parameters[{name!r}] is {value!r:.80}; pass a text, a number, a boolean, a datetime or "
        '{"type": "uri", "value": ...}'
    )
