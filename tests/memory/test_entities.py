"""Which names are one entity, and which two of a name are two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.memory.entities import Entities, entity_key
from memfold.schemas.records import RelationChange


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


def said(name: str, which: str = "", entity: str = "", other: str = "alex", n: int = 0) -> RelationChange:
    return RelationChange(
        "ASSERT", f"a{n}", "m1", other, "KNOWS", name, target_which=which, target_entity=entity
    )


def test_two_of_a_name_are_two_when_their_roles_say_so() -> None:
    entities = Entities()
    assert entities.resolve("Maria", "sister") == "maria"
    entities.put(said("Maria", "sister", "maria"))
    assert entities.resolve("Maria", "dentist") == "maria#dentist"
    entities.put(said("Maria", "dentist", "maria#dentist"))
    assert entities.resolve("maria", "little sister") == "maria"
    assert entities.resolve("MARIA", "my dentist") == "maria#dentist"
    assert entities.resolve("Maria") == "maria#dentist", "without a role, the one that was named last"


@pytest.mark.parametrize("which", ["", "friend", "colleague"])
def test_what_anybody_may_be_tells_nobody_apart(which: str) -> None:
    entities = Entities()
    entities.put(said("Maria", "sister", "maria"))
    assert entities.resolve("Maria", which) == "maria"


def test_one_of_whom_no_role_was_told_may_be_the_one() -> None:
    entities = Entities()
    entities.put(said("Maria", "", "maria"))
    assert entities.resolve("Maria", "dentist") == "maria"


def test_a_mother_is_a_mum_and_a_wife_was_a_girlfriend() -> None:
    entities = Entities()
    entities.put(said("Ann", "mom", "ann"))
    entities.put(said("Eva", "girlfriend", "eva"))
    assert entities.resolve("Ann", "mother") == "ann"
    assert entities.resolve("Eva", "wife") == "eva"


def test_an_exact_name_goes_before_one_that_is_only_like_it() -> None:
    entities = Entities()
    entities.put(said("Google", "", "google"))
    entities.put(said("Google Inc.", "", "google#google inc."))
    entities.put(said("google", "", "google"))
    assert entities.resolve("Google Inc.") == "google#google inc."
    assert entities.resolve("The Google") in ("google", "google#google inc.")


changes = st.lists(
    st.builds(
        said,
        st.sampled_from(["Maria", "maria", "Google", "Google Inc.", "Bob"]),
        st.sampled_from(["", "sister", "dentist", "friend"]),
        st.sampled_from(["", "maria#dentist", "robert"]),
        st.sampled_from(["alex", "Bob"]),
    ),
    max_size=12,
)


@given(changes, st.data())
def test_what_was_put_and_dropped_leaves_what_was_never_dropped(
    put: list[RelationChange], data: st.DataObject
) -> None:
    dropped = data.draw(st.lists(st.sampled_from(range(len(put))), unique=True)) if put else []
    entities, plain = Entities(), Entities()
    for change in put:
        entities.put(change)
    for number in dropped:
        entities.drop(put[number])
    for number, change in enumerate(put):
        if number not in dropped:
            plain.put(change)
    for asked in ("Maria", "Google Inc.", "Bob", "robert", "nobody"):
        assert sorted(entities.find(asked)) == sorted(plain.find(asked))
        assert sorted(entities.names(entity_key(asked))) == sorted(plain.names(entity_key(asked)))
        for which in ("sister", "dentist"):
            one, other = entities.resolve(asked, which), plain.resolve(asked, which)
            assert {one, other} <= {*plain.find(asked), entity_key(asked), f"{entity_key(asked)}#{which}"}
