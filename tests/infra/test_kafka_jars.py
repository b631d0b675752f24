"""The jars: pinned, fetched once, refused when they are not what was pinned."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from memfold.infra import kafka_jars as jars
from memfold.infra.errors import KafkaJarsChanged, KafkaNotFetched


@pytest.fixture(scope="session")
def fetched() -> Path:
    """The real jars of this machine's cache, fetched if it has none."""
    jars.kafka_jars()
    return jars.jars_folder()


@pytest.fixture
def cache(tmp_path: Path, fetched: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, its jars linked to the real ones; returns their folder."""
    monkeypatch.setenv("MEMFOLD_CACHE", str(tmp_path))
    folder = jars.jars_folder()
    shutil.copytree(fetched, folder, copy_function=os.link, ignore=shutil.ignore_patterns("*.aot"))
    return folder


def one_jar(folder: Path) -> Path:
    return next(folder.rglob("kafka-clients-*.jar"))


def test_the_class_path_is_what_was_pinned(cache: Path) -> None:
    found = jars.kafka_jars()
    assert len(found) == 45
    assert {path.name for path in found} >= {
        "kafka_2.13-4.4.0.jar",
        "log4j-core-2.25.5.jar",
        "log4j-slf4j-impl-2.25.5.jar",
    }
    assert all(path.is_relative_to(cache) for path in found)


def test_a_changed_jar_is_refused_by_name(cache: Path) -> None:
    jar = one_jar(cache)
    content = bytearray(jar.read_bytes())
    content[len(content) // 2] ^= 1
    jar.unlink()  # a link to the real one: never write through it
    jar.write_bytes(content)
    with pytest.raises(
        KafkaJarsChanged, match=rf"{jar.name} has SHA-256 \w+, pinned is \w+\. Delete {cache}"
    ):
        jars.kafka_jars()


def test_a_missing_jar_is_refused_by_name(cache: Path) -> None:
    one_jar(cache).unlink()
    with pytest.raises(KafkaJarsChanged, match=r"kafka-clients-4\.4\.0\.jar is missing"):
        jars.kafka_jars()


def test_an_additional_jar_is_refused_by_name(cache: Path) -> None:
    (cache / "org" / "more.jar").write_bytes(b"")
    with pytest.raises(KafkaJarsChanged, match=r"org/more\.jar is not pinned"):
        jars.kafka_jars()


def test_two_first_starts_at_once_fetch_once(
    tmp_path: Path, fetched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetches = []

    def copy(part: Path, paths: tuple[str, ...], progress: jars.Progress) -> None:
        fetches.append(part)
        shutil.copytree(fetched, part, copy_function=os.link, ignore=shutil.ignore_patterns("*.aot"))

    monkeypatch.setattr(jars, "_download", copy)
    monkeypatch.setenv("MEMFOLD_CACHE", str(tmp_path))
    with ThreadPoolExecutor(
        2
    ) as pool:  # the lock is on an open file: two threads exclude each other as processes do
        first, second = pool.map(lambda _: jars.kafka_jars(), range(2))
    assert first == second
    assert len(fetches) == 1


def test_an_interrupted_fetch_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_off(part: Path, paths: tuple[str, ...], progress: jars.Progress) -> None:
        part.mkdir()
        (part / "half.jar").write_bytes(b"PK")
        raise ConnectionResetError("the line went dead")

    monkeypatch.setattr(jars, "_download", break_off)
    monkeypatch.setenv("MEMFOLD_CACHE", str(tmp_path))
    with pytest.raises(KafkaNotFetched, match=r"the line went dead.*Nothing was kept"):
        jars.kafka_jars()
    assert [path.name for path in tmp_path.iterdir()] == ["kafka-4.4.0.lock"]


def test_a_fetched_jar_that_is_not_the_pinned_one_never_gets_into_the_cache(
    tmp_path: Path, fetched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tampered(part: Path, paths: tuple[str, ...], progress: jars.Progress) -> None:
        shutil.copytree(fetched, part, copy_function=os.link, ignore=shutil.ignore_patterns("*.aot"))
        one_jar(part).unlink()

    monkeypatch.setattr(jars, "_download", tampered)
    monkeypatch.setenv("MEMFOLD_CACHE", str(tmp_path))
    with pytest.raises(KafkaJarsChanged, match="is missing"):
        jars.kafka_jars()
    assert not jars.jars_folder().exists()
