"""Writes the references that follow from the code: cli.md, config.md, events.md. `make docs`; the tests fail where one is stale."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import typer.main
from pydantic import BaseModel

from memfold.providers.presets import ModelSettings
from memfold.schemas.registry import released
from memfold.serve.cli import app
from memfold.serve.settings import Settings

HERE = Path(__file__).parent
_MADE = "<!-- Made by docs/generate.py; do not edit. -->\n\n"


def cli() -> str:
    """Every command with its arguments and options."""
    lines = [_MADE + "# The command line\n"]
    for path, command in _commands("memfold", typer.main.get_command(app)):
        lines.append(f"## {path}\n\n{(command.help or '').strip()}\n")
        parameters = [p for p in command.params if p.name != "help" and not getattr(p, "hidden", False)]
        if parameters:
            lines.append("| | |\n|---|---|")
            lines += [_parameter(parameter) for parameter in parameters]
            lines.append("")
    return "\n".join(lines)


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
    for name, child in (children or {}).items():
        yield from _commands(f"{path} {name}", child)


def _parameter(parameter: Any) -> str:
    names = (
        ", ".join([*parameter.opts, *parameter.secondary_opts])
        if parameter.opts[0][0] == "-"
        else parameter.name.upper()
    )
    default = parameter.default
    shown = (
        ""
        if default in (None, False, ()) or isinstance(default, click.Parameter) or callable(default)
        else f" Default: {default}."
    )
    return f"| `{names}` | {getattr(parameter, 'help', None) or ''}{shown} |"


def config() -> str:
    """Every setting with its variable."""
    lines = [
        _MADE + "# Settings\n",
        "Arguments of `Memory(...)` and options come first, then these variables, then the defaults.\n",
        "| variable | default | what for |\n|---|---|---|",
    ]
    lines += _settings(Settings, "MEMFOLD_")
    return "\n".join(lines) + "\n"


def _settings(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if field.annotation is ModelSettings:
            yield from _settings(ModelSettings, f"{prefix}{name.upper()}__")
            continue
        default = "" if field.default is None else f"`{field.default}`"
        yield f"| `{prefix}{name.upper()}` | {default} | {field.description or ''} |"


def events() -> str:
    """Every released schema, field by field."""
    lines = [
        _MADE + "# Commands and events\n",
        "Each record is an `envelope` in Avro single-object encoding (`C3 01`, the fingerprint, the fields); "
        "its `body` is the other schema, encrypted. "
        "A released file is never changed.\n",
    ]
    for schema in released():
        parsed = json.loads(schema.text)
        lines.append(
            f"## {schema.name}.v{schema.version}\n\nFingerprint `{schema.fingerprint.hex()}`. {parsed.get('doc', '')}\n"
        )
        lines.append("| field | type | |\n|---|---|---|")
        lines += list(_fields(parsed, ""))
        lines.append("")
    return "\n".join(lines)


def _fields(record: Any, prefix: str) -> Iterator[str]:
    for field in record["fields"]:
        yield f"| `{prefix}{field['name']}` | {_type(field['type'])} | {field.get('doc', '')} |"
        inner = field["type"]
        if isinstance(inner, dict):
            inner = inner.get("items", inner)
        if isinstance(inner, dict) and inner.get("type") == "record":
            yield from _fields(inner, f"{prefix}{field['name']}.")


def _type(kind: Any) -> str:
    if isinstance(kind, list):
        return " or ".join(_type(one) for one in kind)
    if isinstance(kind, dict):
        if kind["type"] == "array":
            return f"list of {_type(kind['items'])}"
        return str(kind.get("logicalType") or kind.get("name") or kind["type"])
    return str(kind)


PAGES = {"cli.md": cli, "config.md": config, "events.md": events}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page())
