"""Vectors kept by model and text: found again, one model's never another's, gone when nothing uses them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.providers.vector_cache import VectorCache

TEXTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=20), unique=True, max_size=30)


@given(TEXTS, TEXTS)
def test_what_was_kept_is_known_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, kept: list[str], asked: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    vectors = {text: f"vector of {text}".encode() for text in kept}
    with VectorCache(folder, "a/model", 8) as cache:
        cache.keep(vectors, "g0002")
    with VectorCache(folder, "a/model", 8) as cache:
        assert cache.known(asked) == {text: vectors[text] for text in asked if text in vectors}


def test_one_models_vectors_are_never_anothers(tmp_path: Path) -> None:
    with VectorCache(tmp_path, "a/model", 8) as one:
        one.keep({"tea": b"one"}, "g0002")
    for model, dimensions in (("another/model", 8), ("a/model", 16)):
        with VectorCache(tmp_path, model, dimensions) as other:
            assert other.known(["tea"]) == {}


def test_what_a_rebuild_does_not_use_is_gone_from_the_disk(tmp_path: Path) -> None:
    needle, other = b"needle-of-a-vector", b"needle-of-another-model"
    with VectorCache(tmp_path, "before/model", 8) as before:
        before.keep({"secret": other}, "g0001")
    with VectorCache(tmp_path, "a/model", 8) as cache:
        cache.keep({"secret": needle, "tea": b"tea"}, "g0002")
        assert cache.known(["tea"], "g0003") == {"tea": b"tea"}
        assert needle in on_disk(tmp_path)
        assert other in on_disk(tmp_path), "the scan finds it before"
        cache.forget_others("g0003")
        assert cache.known(["secret", "tea"]) == {"tea": b"tea"}
        assert needle not in on_disk(tmp_path)
        assert other not in on_disk(tmp_path)


def test_two_handles_write_one_after_the_other(tmp_path: Path) -> None:
    with VectorCache(tmp_path, "a/model", 8) as one, VectorCache(tmp_path, "a/model", 8) as two:
        one.keep({"tea": b"1"}, "g0002")
        two.keep({"coffee": b"2"}, "g0002")
        assert one.known(["tea", "coffee"]) == two.known(["tea", "coffee"]) == {"tea": b"1", "coffee": b"2"}


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())
