"""The jars of an unmodified Apache Kafka: fetched once from Maven Central, pinned, and kept in the user's cache.

`kafka-4.4.0.sha256` beside this file lists every jar as `sha256sum` prints it, by its path in a Maven repository. It is the
runtime class path of `org.apache.kafka:kafka_2.13:4.4.0` as jgo resolves it, and `log4j-slf4j-impl`, which Kafka's own
distribution adds so that the broker has a log. With the paths pinned, nothing is left to resolve at run time: each jar is
downloaded by name, several at once, which is four times as fast as resolving, and a new release upstream changes nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from memfold.infra.errors import EmbeddedExtraMissing, KafkaJarsChanged, KafkaNotFetched
from memfold.memory.errors import MemfoldError

VERSION = "4.4.0"
PINS = Path(__file__).with_name(f"kafka-{VERSION}.sha256")

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is. May be called from any thread."""


def no_progress(what: str, done: int, total: int) -> None:
    """Report nothing."""


def cache_root() -> Path:
    """Where what can be fetched again is kept: MEMFOLD_CACHE, else `memfold` in the user's cache directory."""
    named = os.environ.get("MEMFOLD_CACHE")
    if named:
        return Path(named).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "memfold"


def jars_folder() -> Path:
    """The folder of the jars, laid out as a Maven repository."""
    return cache_root() / f"kafka-{VERSION}"


def kafka_jars(progress: Progress = no_progress) -> tuple[Path, ...]:
    """The checked jars of the broker, in class path order; fetches them when the cache has none.

    Every jar is hashed at every call (45 MB, about 0.1 s): a jar that changed on disk is code that nobody pinned.
    Raises KafkaNotFetched, KafkaJarsChanged, EmbeddedExtraMissing.
    """
    folder = jars_folder()
    pins = _read_pins()
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with exclusively(folder.with_name(f"{folder.name}.lock")):
            if not folder.is_dir():
                _fetch(folder, pins, progress)
    _check(folder, pins)
    return tuple(folder / path for path in pins)


@contextmanager
def exclusively(lock: Path) -> Iterator[None]:
    """Hold `lock` against every other process; wait for it as long as it takes. The kernel frees it when a holder dies."""
    with lock.open("ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _read_pins() -> dict[str, str]:
    lines = PINS.read_text(encoding="ascii").splitlines()
    return {path: digest for digest, path in (line.split("  ", 1) for line in lines)}


def _fetch(folder: Path, pins: dict[str, str], progress: Progress) -> None:
    """Download into a folder beside the final one and rename it when it is whole: no reader ever sees half of it."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        _download(part, tuple(pins), progress)
        _check(part, pins)
        part.rename(folder)
    except MemfoldError:
        raise
    except (
        OSError,
        RuntimeError,
    ) as error:  # requests' errors are OSErrors; jgo's "not found" is a RuntimeError
        raise KafkaNotFetched(
            f"Kafka {VERSION} could not be fetched: {error}. Nothing was kept. Check network and proxy and start again, "
            f"or copy {folder} from a machine that has it."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _download(part: Path, paths: tuple[str, ...], progress: Progress) -> None:
    try:
        from jgo.maven import MavenContext
    except ImportError as error:
        raise EmbeddedExtraMissing(
            'fetching Kafka needs jgo, which is not installed: pip install "memfold[embedded]"'
        ) from error
    # A repository of its own, not ~/.m2: jgo streams straight to the final name there, so an interrupted download of
    # anybody's would be taken for a whole jar.
    maven = MavenContext(repo_cache=part, timeout=60)

    def fetch(path: str) -> None:
        group, name, version, _ = path.rsplit("/", 3)
        maven.project(group.replace("/", "."), name).at_version(version).artifact().resolve()

    what = f"fetching Kafka {VERSION}"
    progress(what, 0, len(paths))
    with ThreadPoolExecutor(8) as pool:
        for done, _ in enumerate(pool.map(fetch, paths), 1):
            progress(what, done, len(paths))


def _check(folder: Path, pins: dict[str, str]) -> None:
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.jar")}
    with ThreadPoolExecutor(2) as pool:
        digests = dict(
            zip(
                pins,
                pool.map(lambda path: file_digest(folder / path) if path in found else "", pins),
                strict=True,
            )
        )
    wrong = [
        *(f"{path} is missing" for path in pins if path not in found),
        *(f"{path} is not pinned" for path in sorted(found - pins.keys())),
        *(
            f"{path} has SHA-256 {digests[path]}, pinned is {pins[path]}"
            for path in pins
            if digests[path] not in ("", pins[path])
        ),
    ]
    if wrong:
        raise KafkaJarsChanged(
            f"Kafka's jars in {folder} are not the pinned ones: {'; '.join(wrong)}. "
            f"Delete {folder}; the next start fetches it anew."
        )


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
