"""The code in the docs runs, as it stands there, beside a stack that runs; the README's is run in tests/test_readme.py."""

from __future__ import annotations

from memfold.serve.settings import Settings
from tests.test_readme import PAGES, printed

EXPECTED = {
    "docs/understanding.md": ["NONE", "['I work at Google', 'I left Google']"],
    "docs/providers.md": [],
    "docs/streaming.md": [
        "ADD I met Sarah from Google ['MET', 'WORKS_AT']",
        "I like tea",
        "I like tea",
    ],
    "docs/importing.md": [],
    "docs/traces.md": [],
}


def test_the_code_of_the_pages_runs(stack: Settings) -> None:
    assert {*EXPECTED, "README.md"} == {*PAGES}
    for page, expected in EXPECTED.items():
        (said,) = printed(stack.folder, page)
        assert said.splitlines() == expected, page
