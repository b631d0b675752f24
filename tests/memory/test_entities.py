"""Which names are one entity, and which two of a name are two."""

from __future__ import annotations

import pytest

from memfold.memory.entities import entity_key


@pytest.mark.parametrize(
    "name",
    [
        "Google",
        "google",
        "GOOGLE Inc.",
        "The Google",
        "Google, Inc.",
        " Google\tLLC ",
        "Ｇｏｏｇｌｅ",
        "Google Co., Ltd.",
    ],
)
def test_names_of_one_company_are_one_entity(name: str) -> None:
    assert entity_key(name) == "google"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Inc.", "inc."),
        ("the", "the"),
        ("The The", "the"),
        ("Ltd", "ltd"),
        ("my company", "my company"),
        ("Straße", "strasse"),
        ("Sarah Connor", "sarah connor"),
        ("", ""),
    ],
)
def test_what_is_taken_off_and_what_stays(name: str, key: str) -> None:
    assert entity_key(name) == key
