"""report.html of a bundle: made of nothing but what is in it, so that the verifier can make it again and compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memfold.verifier.claims import covered, not_covered
from memfold.verifier.html import Html, code, document, facts, items, table, tag

SHOWN: dict[str, list[str]] = {
    "operations": ["op", "version", "text", "previous_text", "memory_id"],
    "relations": ["op", "source", "relationship", "target", "valid_from", "valid_to"],
    "facts": ["text", "kind", "speaker", "when", "confidence"],
    "calls": ["purpose", "provider", "model", "prompt_version", "answer", "error"],
    "messages": ["role", "name", "content"],
}
"""Columns of the lists that a page can hold; decoded.json has all of them."""


def page_of(
    about: Mapping[str, Any], trees: Sequence[Sequence[Any]], told: Sequence[Mapping[str, Any]]
) -> str:
    """`about`: the manifest; `trees`: (tree, size, root) of each checkpoint; `told`: decoded.json."""
    who = about["user"]
    form = (
        "opened" if about["opened"] else "sealed: bodies are encrypted, and without the key nobody reads them"
    )
    summary = [
        ("user", who),
        ("subject in the log", code(about["subject"])),
        ("tenant", about["tenant"]),
        ("window", f"{about['from'] or 'the beginning'} to {about['to'] or 'the end'}, by the broker's time"),
        ("records", f"{len(told)}, {form}"),
        ("who read it", "among the records" if about["reads"] else "left out"),
        ("log", code(about["log"])),
    ]
    heads = [[tree, size, code(root)] for tree, size, root in trees]
    left_out = [[one["topic"], one["partition"], one["offset"], one["why"]] for one in about["left_out"]]
    return document(
        f"Evidence: {who}",
        tag("h1", "Evidence of the memories of ", who),
        tag("p", "Check it with ", code("python3 verify.py THIS.zip --key KEY"), ", where KEY is the log's public key from a source "
            "that you trust. It needs no network, and nothing but Python 3.9.", attributes='class="lead"'),
        facts(summary),
        tag("h2", "What the check shows"),
        items(covered(about["opened"])),
        tag("h2", "What it does not show"),
        items(not_covered(about["opened"])),
        tag("h2", "Checkpoints"),
        table("", ["tree", "records", "root"], heads),
        tag("h2", "Records"),
        *([table("Left out, because they are not genuine", ["topic", "partition", "offset", "why"], left_out)] if left_out else []),
        *_records(told),
    )  # fmt: skip


def _records(told: Sequence[Mapping[str, Any]]) -> list[Html]:
    """As they were written, by the writers' clocks; of one command's events the first counts."""
    answered: set[tuple[str, str]] = set()
    found: list[tuple[str, Html]] = []
    for one in told:
        command = one["place"][0], one["envelope"]["command_id"]
        found.append((one["envelope"]["occurred_at"], _record(one, command in answered)))
        answered.add(command)
    return [record for _, record in sorted(found, key=lambda each: each[0])]


def _record(one: Mapping[str, Any], again: bool) -> Html:
    envelope, (topic, partition, offset) = one["envelope"], one["place"]
    again_said = (
        [tag("p", "Written again by a retry; it does not count.", attributes='class="bad"')] if again else []
    )
    return tag(
        "section",
        tag("h3", f"{envelope['occurred_at'][:19].replace('T', ' ')}  {envelope['type'].replace('_', ' ')}"),
        tag("p", code(f"{topic}/{partition}@{offset}"), " record ", code(envelope["record_id"]), attributes='class="lead"'),
        *again_said,
        *([_given(envelope["memory_ids"])] if envelope["type"] == "memory_read" else []),
        *([_fields(one["body"])] if "body" in one else [tag("p", "Encrypted.")]),
    )  # fmt: skip


def _given(memory_ids: Sequence[str]) -> Html:
    """What a read gave of the person; an export, say, does not list it."""
    if "*" in memory_ids:
        return tag("p", "gave all of their memories, or did not list which")
    return tag("p", "gave no memory of theirs") if not memory_ids else _list("gave", list(memory_ids))[0]


def _fields(fields: Mapping[str, Any]) -> Html:
    """The fields that hold something: plain ones in a line, then each list in a table."""
    held = {name: value for name, value in fields.items() if value not in (None, "", [], {}, "{}")}
    plain = [f"{name}: {_plain(value)}" for name, value in held.items() if not isinstance(value, list)]
    parts: list[Html] = [tag("p", "; ".join(plain))] if plain else []
    for name, value in held.items():
        if isinstance(value, list):
            parts += _list(name, value)
    return Html("".join(parts))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return ", ".join(f"{name} {held}" for name, held in value.items() if held not in (None, ""))
    return str(value)


def _list(name: str, values: list[Any]) -> list[Html]:
    if not all(isinstance(value, dict) for value in values):
        return [tag("p", tag("strong", name), ": ", ", ".join(str(value) for value in values))]
    if any(
        isinstance(held, list) and held and isinstance(held[0], dict)
        for value in values
        for held in value.values()
    ):
        return [_fields(value) for value in values]
    wanted = SHOWN.get(name, list(values[0]))
    columns = [column for column in wanted if any(value.get(column) not in (None, "") for value in values)]
    return [table(name, columns, [[_cell(value.get(column)) for column in columns] for value in values])]


def _cell(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return round(value, 3)
    return None if value is None else _plain(value)
