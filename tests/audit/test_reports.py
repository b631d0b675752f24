"""Reports: the numbers are the log's, the pages cannot be broken by what people said, and need nothing from anywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from memfold.audit.auditor import Auditor, Seals
from memfold.audit.checkpoints import TreeName
from memfold.audit.day_chart import day_chart
from memfold.audit.face import AsyncAudit
from memfold.audit.full_log import FullLog
from memfold.audit.history import DuckDBHistory
from memfold.audit.report import Report, Table
from memfold.audit.seal_files import SealFiles
from memfold.memory.errors import InvalidInput
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from tests.audit.bundles import AGAIN, COUNT, HOSTILE, sealed_log
from tests.audit.evidence import Deployment, event
from tests.audit.logs import ListTail

REPORTS = ["access", "changes", "models", "retention"]
TITLES = {"title": "Changes", "none": "Nothing changed."}


@pytest.fixture
def log(tmp_path: Path, keys: KeyStore) -> Deployment:
    return sealed_log(tmp_path, keys, reads=3)


@contextmanager
def asked(log: Deployment) -> Iterator[AsyncAudit]:
    archive, tail = log.home / "archive", ListTail(log.events)
    with (
        closing(DuckDBHistory(archive, 1, tail, log.keys)) as history,
        closing(FullLog(archive, 1, tail, log.keys, log.keys)) as full,
    ):

        async def ready() -> Auditor:
            return Auditor("acme", history, full, Seals(log.home / "seals", lambda: None))

        yield AsyncAudit(ready)


async def told(log: Deployment, name: Any, **bounds: Any) -> dict[str, Any]:
    with asked(log) as audit:
        found: dict[str, Any] = json.loads(json.dumps((await audit.report(name, **bounds)).json()))
    return found


async def test_changes_are_counted_by_day_and_kind(log: Deployment) -> None:
    found = await told(log, "changes")
    (day,) = found["days"]
    assert (day["day"], day["memories added"], day["memories gone"], day["relations begun"]) == (
        "2026-03-03",
        COUNT,
        0,
        COUNT,
    )
    assert found["about"]["memories added"] == COUNT
    assert (await told(log, "changes", user_id="user-1"))["about"]["memories added"] == COUNT // 3
    assert (await told(log, "changes", since="2026-03-04"))["days"] == []


async def test_models_and_whose_data_they_saw(log: Deployment) -> None:
    found = await told(log, "models")
    (model,) = found["models"]
    assert (model["provider"], model["model"], model["purpose"]) == ("offline", "rules", "extract")
    assert (model["calls"], model["failed"], model["subjects"]) == (COUNT, 0, 3)
    assert [(one["id"], one["calls"], one["memories_shown"]) for one in found["whose"]] == [
        (f"user-{number}", COUNT // 3, 2 * COUNT // 3) for number in range(3)
    ]
    assert [one["id"] for one in (await told(log, "models", user_id="user-1"))["whose"]] == ["user-1"]


async def test_retention_tells_what_is_kept_and_how_far_it_is_proven(log: Deployment) -> None:
    found = await told(log, "retention")
    assert {one["type"]: one["records"] for one in found["processing"]} == {
        "add_requested": COUNT,
        "memories_decided": COUNT + 2,
    }
    assert [(one["id"], one["records"], one["memories"]) for one in found["whose"]] == [
        ("user-0", 10, 4), ("user-1", 8, 4), ("user-2", 8, 4)
    ]  # fmt: skip
    assert found["about"]["records not yet sealed"] == 0
    assert (found["findings"], found["bad"]) == ([], [])
    log.events.append(event(log.keys, AGAIN + 1, 1))
    behind = await told(log, "retention")
    assert behind["about"]["records not yet sealed"] == 1
    (events,) = [one for one in behind["seals"] if one["tree"] == "memfold.events/0"]
    assert (events["records"], events["sealed"], events["unsealed"]) == (AGAIN + 2, AGAIN + 1, 1)
    assert events["oldest unsealed"].startswith("2026-03-03T")


async def test_an_erased_person_is_counted_as_erased(log: Deployment) -> None:
    log.keys.destroy(log.keys.subject_of("acme", "user", "user-2"))
    found = await told(log, "retention")
    assert [(one["id"], one["memories"]) for one in found["whose"]] == [
        ("erased", 0),
        ("user-0", 4),
        ("user-1", 4),
    ]


async def test_a_seal_that_does_not_verify_is_told(log: Deployment) -> None:
    path = SealFiles(log.home / "seals").seals_path(TreeName(EVENTS, 0))
    path.write_text(path.read_text().replace("\n14\n", "\n15\n"))
    found = await told(log, "retention")
    assert {one["kind"] for one in found["findings"]} == {"seal"}
    assert found["bad"] == ["Failed verifications: 1. Run memfold audit verify, which says more."]


class Page(HTMLParser):
    """A page's tags, each closed where it was opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    assert page.open == []
    assert not page.seen & {"script", "link", "img", "iframe", "object", "base", "form", "a"}
    assert not [name for name, value in page.attributes if name.startswith("on") or name in ("src", "href")]
    assert "url(" not in html
    assert "@import" not in html
    return page


@pytest.mark.parametrize("name", REPORTS)
async def test_a_page_is_whole_and_needs_nothing(log: Deployment, name: Any) -> None:
    with asked(log) as audit:
        report = await audit.report(name)
    page = parsed(report.html())
    assert {"h1", "h2", "table", "thead"} <= page.seen
    assert ("svg" in page.seen) == (name in ("access", "changes"))


@pytest.mark.parametrize(
    "text", [HOSTILE, "</title><script>x</script>", "\u202e", "<svg onload=x>", "a\x00b"]
)
def test_nothing_that_was_said_becomes_html(text: str) -> None:
    report = Report("x", text, [(text, text)], [Table(text, text, [text], [[text], [1]])], [text], [text])
    parsed(report.html())
    assert "<script" not in report.html()
    assert "\u202e" not in report.html()
    assert "\x00" not in report.html()


def test_bars_are_days_then_months() -> None:
    few = day_chart(
        {(date(2026, 3, 1), "added"): 3, (date(2026, 3, 3), "gone"): 1}, ["added", "gone"], **TITLES
    )
    assert re.findall(r"<title>(.*?)</title>", few) == ["2026-03-01 added: 3", "2026-03-03 gone: 1"]
    assert re.findall(r'text-anchor="middle"[^>]*>([^<]*)', few) == ["2026-03-01", "2026-03-02", "2026-03-03"]
    many = day_chart(
        {(date(2025, 11, 30), "added"): 3, (date(2026, 3, 3), "added"): 1, (date(2026, 3, 9), "added"): 1},
        ["added"],
        **TITLES,
    )
    assert re.findall(r"<title>(.*?)</title>", many) == ["2025-11-01 added: 3", "2026-03-01 added: 2"]
    assert "2025-12" in many
    assert "Nothing changed" in day_chart({}, ["added"], **TITLES)


async def test_a_report_that_there_is_not(log: Deployment) -> None:
    with asked(log) as audit, pytest.raises(InvalidInput, match="there is no report 'secrets'"):
        await audit.report("secrets")  # type: ignore[arg-type]
