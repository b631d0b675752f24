"""Whoever takes over a role takes the place of who had it; another of the same trade does not."""

from __future__ import annotations

import pytest

from memfold.memory.facts import Similar
from memfold.providers.contradictions import contradicts
from memfold.providers.offline_extractor import OfflineExtractor
from tests.providers.saying import said


@pytest.mark.parametrize(
    ("before", "now", "replaced"),
    [
        ("Our vet is Dr. Nakamura", "Our vet is Dr. Abebe now", True),
        ("Our vet is Dr. Nakamura", "Our vet is Dr. Abebe", False),
        ("Our vet is Dr. Nakamura", "Our plumber is Mr. Abebe now", False),
        ("My sister Maria is a vet", "Our vet is Dr. Abebe now", False),
    ],
)
async def test_a_role_is_taken_over(before: str, now: str, replaced: bool) -> None:
    (old,) = (await OfflineExtractor().extract(said(before))).facts
    (new,) = (await OfflineExtractor().extract(said(now))).facts
    assert contradicts(new, Similar("m1", old.text, 0.9, old.relations)) is replaced


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("I work at Google.", "professional"),
        ("Sarah works at Google.", "personal_details"),
        ("Ravi is my manager.", "professional"),
        ("I play the cello.", "activities"),
        ("I eat salmon.", "preferences"),
    ],
)
async def test_the_kind_of_a_relation(sentence: str, kind: str) -> None:
    (fact,) = (await OfflineExtractor().extract(said(sentence))).facts
    assert fact.kind == kind
