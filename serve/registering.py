"""memfold's own schemas at a registry, under the names by which Confluent's serializers look for them."""

from __future__ import annotations

from collections.abc import Iterator

from memfold.schemas.partitions import KEPT
from memfold.schemas.registry import Schema, released
from memfold.streams.schema_registry import SchemaRegistry


def subjects() -> Iterator[tuple[str, Schema]]:
    """(subject, schema), versions in order. TopicNameStrategy finds the envelope by topic, RecordNameStrategy each record by name."""
    for topic in KEPT:
        for schema in released():
            if schema.name == "envelope":
                yield f"{topic}-value", schema
    for schema in released():
        yield schema.parsed["name"], schema


def registered(registry: SchemaRegistry) -> Iterator[tuple[str, Schema, int]]:
    """(subject, schema, the registry's id); what is there already stays as it is. Raises RegistryUnreachable, RegistryRefused."""
    for subject, schema in subjects():
        yield subject, schema, registry.register(subject, schema.text)
