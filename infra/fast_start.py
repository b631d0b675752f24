"""A file of Kafka's classes, loaded and linked beforehand, that halves the start of the broker's Java.

Java 25 writes it at the end of one training run (JEP 483, 514, 515). It is an optimisation and nothing else: Java itself
ignores a file that does not fit its version, its options or the jars, and a broker that dies with it is started without.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from dataclasses import replace
from pathlib import Path

from memfold.infra.broker_setup import prepare_broker
from memfold.infra.home import prepare_home
from memfold.infra.kafka_jars import PINS, Progress, exclusively, file_digest
from memfold.infra.kafka_runtime import JAVA_OPTIONS, KafkaRuntime
from memfold.infra.processes import ProcessRecord, clear_stale, stop_process, write_record
from memfold.infra.writable import wait_writable
from memfold.memory.errors import MemfoldError

log = logging.getLogger(__name__)

OLDEST = 25
"""The first Java that writes the file in one step."""

_NAMED = 16
"""Digits of the SHA-256 that are in the name."""

_WRITING = 120.0  # seconds for Java to end and write the file; 5 s on an idle machine


def with_fast_start(runtime: KafkaRuntime, folder: Path, progress: Progress) -> KafkaRuntime:
    """The runtime with its fast-start file in `folder`, beside the jars; trains one if there is none (about 8 s, once).

    When that fails, the reason is logged and the runtime is returned as it came.
    """
    if runtime.java.major < OLDEST:
        return runtime
    key = _key(runtime)
    try:
        file = _sound(folder, key)
        if file is None:
            with exclusively(folder.with_name(f"{folder.name}.lock")):
                file = _sound(folder, key) or _train(runtime, folder, key, progress)
    except (MemfoldError, OSError) as error:
        log.warning("Kafka starts without its fast-start file, which could not be made: %s", error)
        return runtime
    return replace(runtime, fast_start=file)


def _sound(folder: Path, key: str) -> Path | None:
    """The file whose content is what its name says. Java would run a damaged one and crash, if nothing worse."""
    for file in folder.glob(f"fast-start-{key}-*.aot"):
        if file.stem.endswith(file_digest(file)[:_NAMED]):
            return file
        file.unlink(missing_ok=True)
    return None


def _key(runtime: KafkaRuntime) -> str:
    of = [runtime.java.version, str(runtime.java.executable), *JAVA_OPTIONS, PINS.read_text(encoding="ascii")]
    return hashlib.sha256("\n".join(of).encode()).hexdigest()[:16]


def _train(runtime: KafkaRuntime, folder: Path, key: str, progress: Progress) -> Path:
    """Start a broker in a throw-away home until it takes writes; Java writes the file when it ends."""
    what = "preparing Kafka's fast start"
    progress(what, 0, 1)
    home = prepare_home(folder.with_name(f"{folder.name}.training"))
    clear_stale(home / "run", _WRITING)  # of a training that was killed; the lock says that no other one runs
    written = home / "written.aot"
    try:
        launch = prepare_broker(home, runtime, (f"-XX:AOTCacheOutput={written}",))
        process = launch.start()
        record = ProcessRecord.of("broker", process.pid)
        write_record(home / "run", record)
        try:
            wait_writable(launch.bootstrap, lambda: process.poll() is None, 60)
        finally:
            stop_process(record, _WRITING)
            process.wait()
        file = keep(folder, key, written)  # OSError when Java could not write it
    finally:
        shutil.rmtree(home, ignore_errors=True)
    progress(what, 1, 1)
    return file


def keep(folder: Path, key: str, written: Path) -> Path:
    """Give a finished file its name in `folder`, which tells what it is for and what is in it."""
    file = folder / f"fast-start-{key}-{file_digest(written)[:_NAMED]}.aot"
    written.rename(file)
    return file
