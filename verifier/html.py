"""HTML that cannot be broken by what people said: what is not HTML already is escaped, and cannot turn its surroundings around."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
:root { color-scheme: light; }
body { font: 10.5pt/1.45 "Source Sans 3", "Helvetica Neue", Arial, sans-serif; color: #1b1f24;
  max-width: 60rem; margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.1rem; margin: 1.8rem 0 .5rem; border-bottom: 1px solid #c9ced6; padding-bottom: .2rem; }
h3 { font-size: 1rem; margin: 1.3rem 0 .3rem; }
p, ul { margin: .4rem 0; }
.lead { color: #4b5563; }
table { border-collapse: collapse; width: 100%; margin: .4rem 0 .8rem; }
caption { text-align: left; font-weight: 600; padding: .2rem 0; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid #e3e6eb; overflow-wrap: anywhere; }
th { color: #4b5563; font-weight: 600; white-space: nowrap; }
td.number, th.number { text-align: right; padding-right: 1.6rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font: .85em/1.4 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.good { color: #17643a; } .bad { color: #9b1c1c; font-weight: 600; }
figure { margin: .6rem 0; } svg { display: block; width: 100%; height: auto; }
@page { size: A4; margin: 16mm 15mm; }
@media print {
  body { margin: 0; padding: 0; max-width: none; font-size: 9pt; }
  tr, figure, li { break-inside: avoid; }
  h2, h3, caption { break-after: avoid; }
}
"""
UNSEEN = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]")


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def html(value: object) -> Html:
    """Any value as HTML: its text is escaped, and isolated, so that marks for right-to-left text in it end with it."""
    if isinstance(value, Html):
        return value
    if value is None:
        return Html("")
    if isinstance(value, (int, float)):
        return Html(str(value))
    return Html(f"<bdi>{escape(_visible(str(value)))}</bdi>")


def _visible(text: str) -> str:
    """What a reader would not see, written out: control characters, which HTML does not allow, and marks that turn text around."""
    return "".join(f"\\u{ord(one):04x}" if UNSEEN.match(one) else one for one in text)


def tag(name: str, *content: object, attributes: str = "") -> Html:
    """An element; `attributes` are ours, never from data."""
    return Html(
        f"<{name}{' ' if attributes else ''}{attributes}>{''.join(html(one) for one in content)}</{name}>"
    )


def code(value: object) -> Html:
    return tag("code", value)


def items(values: Iterable[object]) -> Html:
    return tag("ul", *(tag("li", value) for value in values))


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Html:
    """A table; without rows, a sentence that says so. Numbers stand right."""
    if not rows:
        return tag("p", tag("strong", caption), ": none") if caption else tag("p", "none")
    numeric = [all(isinstance(row[at], (int, float)) for row in rows) for at in range(len(columns))]
    marks = ['class="number"' if one else "" for one in numeric]
    head = [tag("th", name, attributes=mark or 'scope="col"') for name, mark in zip(columns, marks)]
    body = [tag("tr", *(tag("td", cell, attributes=mark) for cell, mark in zip(row, marks))) for row in rows]
    title = [tag("caption", caption)] if caption else []
    return tag("table", *title, tag("thead", tag("tr", *head)), tag("tbody", *body))


def facts(rows: Iterable[tuple[str, object]]) -> Html:
    """Names and what they stand for."""
    return tag(
        "table",
        tag(
            "tbody",
            *(tag("tr", tag("th", name, attributes='scope="row"'), tag("td", value)) for name, value in rows),
        ),
    )


def document(title: str, *parts: object) -> str:
    """A page of its own: nothing of it is loaded from anywhere, nothing in it runs."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = (
        f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{escape(_visible(title))}</title>\n<style>{STYLE}</style>'
    )
    body = "\n".join(html(part) for part in parts)
    return f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'
