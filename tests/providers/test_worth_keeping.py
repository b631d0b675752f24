"""What is worth keeping of a sentence, and what is only talk."""

from __future__ import annotations

import pytest

from memfold.providers.offline_extractor import OfflineExtractor
from tests.providers.saying import said


async def kept(text: str) -> list[str]:
    return [fact.text for fact in (await OfflineExtractor().extract(said(text))).facts]


@pytest.mark.parametrize(
    "text",
    [
        "yaaay!",
        "thank youuu",
        "haha good one :)",
        "maybe later, thanks!",
        "Imagine living on the moon",
        "I wish I had a bigger garden",
        "I might learn the harp some day",
        "They say that the winter will be cold",
        "I heard that coffee is bad for you",
        "Supposedly carrots help your eyes",
        "If I won a million, I would buy a boat",
        "Hola!",
    ],
)
async def test_talk_supposition_and_hearsay_are_not_kept(text: str) -> None:
    assert await kept(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "Thanks, I moved to Lima",
        "I would like a room without carpets",
        "My brother says hello from Perth",
        "I can't eat gluten",
    ],
)
async def test_what_tells_something_is_kept_as_it_was_said(text: str) -> None:
    assert await kept(text) == [text]
