"""What things are called in the graph: IRIs that nothing can break out of.

Every IRI starts with `urn:memfold:`; ids and names in it are percent-encoded, or hashed when they are long:

    g/<tenant>/<subject>                 the graph of the triples that hold now, and with /prov behind it that of the assertions
    entity/<tenant>/<subject>/<id>       an entity (see memory/entities.py); it is the subject's own, so no two people share a "Sarah"
    relationship/<name>  type/<name>     predicates and entity types
    assertion/<id>  memory/<id>  command/<id>  event/<topic>/<partition>/<offset>
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

from memfold.schemas.partitions import EVENTS

BASE = "urn:memfold:"
VOCABULARY = BASE + "vocabulary/"
DESCRIPTIONS = BASE + "graphs"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
XSD = "http://www.w3.org/2001/XMLSchema#"
PROV = "http://www.w3.org/ns/prov#"

LONGEST_SEGMENT = 200
_SAFE = re.compile(r"[A-Za-z0-9_.~-]*")


class _PercentEncoding(dict[int, str]):
    """A table for str.translate, filled as characters come; five times as fast as urllib's quote."""

    def __missing__(self, character: int) -> str:
        self[character] = quote(chr(character), safe="")
        return self[character]


_ENCODING = _PercentEncoding()


class SubjectGraph(NamedTuple):
    """Whose graph: a tenant and a subject id."""

    tenant: str
    subject: str


def segment(text: str) -> str:
    """`text` as one segment of an IRI; a long one is replaced by its SHA-256 (the colon keeps the two kinds apart)."""
    encoded = text if _SAFE.fullmatch(text) else text.translate(_ENCODING)
    return encoded if len(encoded) <= LONGEST_SEGMENT else "sha256:" + sha256(text.encode()).hexdigest()


def tenant_prefix(tenant: str) -> str:
    """What the IRIs of a tenant's graphs start with, and those of no other tenant."""
    return f"{BASE}g/{segment(tenant)}/"


@lru_cache(maxsize=10_000)
def _owner(graph: SubjectGraph) -> str:
    return f"{segment(graph.tenant)}/{segment(graph.subject)}"


def graph_iri(graph: SubjectGraph) -> str:
    return f"{BASE}g/{_owner(graph)}"


def prov_iri(graph: SubjectGraph) -> str:
    return f"{BASE}g/{_owner(graph)}/prov"


def entity_iri(graph: SubjectGraph, entity: str) -> str:
    """`entity` is its id, not its name."""
    return f"{BASE}entity/{_owner(graph)}/{segment(entity)}"


def relationship_iri(name: str) -> str:
    return f"{BASE}relationship/{segment(name)}"


def type_iri(name: str) -> str:
    return f"{BASE}type/{segment(name)}"


def assertion_iri(assertion_id: str) -> str:
    return f"{BASE}assertion/{segment(assertion_id)}"


def memory_iri(memory_id: str) -> str:
    return f"{BASE}memory/{segment(memory_id)}"


def command_iri(command_id: str) -> str:
    return f"{BASE}command/{segment(command_id)}"


def event_iri(partition: int, offset: int) -> str:
    return f"{BASE}event/{EVENTS}/{partition}/{offset}"


def named(iri: str) -> str:
    """An IRI as TriG and SPARQL write it. Of ours only: their segments are encoded, so that nothing in them ends it early."""
    return f"<{iri}>"
