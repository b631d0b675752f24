"""verify.py, the one file that checks a bundle: the files of the room `verifier`, one behind the other, and what they have to know."""

from __future__ import annotations

import ast
from functools import cache
from hashlib import sha256
from importlib.resources import files

from memfold.schemas.registry import released

ORDER = [
    "refusing", "ed25519", "aes_gcm", "notes", "inclusion", "avro_reading", "plain_zip", "records", "layout", "html", "claims", "page",
    "checking", "commandline",
]  # fmt: skip
"""Each file behind those that it imports."""
_HEAD = '''#!/usr/bin/env python3
"""Checks an evidence bundle of memfold: `python3 verify.py case.zip --key KEY`. Python 3.9, its standard library, no network.

Made from the files of memfold's room `verifier`; `memfold audit verifier` prints it again. Apache-2.0.
"""
'''
_TAIL = """

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], RELEASED, Path(__file__).read_bytes()))
"""


def released_schemas() -> dict[str, str]:
    """Of every released schema: its fingerprint in hex, and the SHA-256 of its file."""
    return {schema.fingerprint.hex(): sha256(schema.text.encode()).hexdigest() for schema in released()}


@cache
def verifier_source() -> str:
    """The text of verify.py."""
    imports: dict[str, set[str]] = {}
    bodies: list[str] = []
    for name in ORDER:
        text = (files("memfold.verifier") / f"{name}.py").read_text(encoding="utf-8")
        bodies.append(_body(text, imports))
    known = "\n".join(f'    "{name}": "{digest}",' for name, digest in sorted(released_schemas().items()))
    pins = f"RELEASED = {{\n{known}\n}}\n# Of each schema that this verifier knows: fingerprint, and SHA-256 of its file.\n"
    taken = [
        f"from {module} import {', '.join(sorted(names))}" if names else f"import {module}"
        for module, names in imports.items()
    ]
    return (
        "\n".join([_HEAD, "from __future__ import annotations\n", *sorted(taken), "", pins, *bodies]) + _TAIL
    )


def _body(text: str, imports: dict[str, set[str]]) -> str:
    """A file without its imports, which go to the head, and with its docstring as a comment."""
    tree, lines = ast.parse(text), text.splitlines()
    outside = [node for node in tree.body[1:] if isinstance(node, ast.Import | ast.ImportFrom)]
    for node in outside:
        names = {alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            imports.update({name: set() for name in names})
        elif node.module and not node.module.startswith(("memfold.", "__future__")):
            imports.setdefault(node.module, set()).update(names)
    said = "\n".join(f"# {line}".rstrip() for line in (ast.get_docstring(tree) or "").splitlines())
    rest = "\n".join(lines[outside[-1].end_lineno :]).strip()
    return f"\n# ---\n{said}\n\n{rest}\n"
