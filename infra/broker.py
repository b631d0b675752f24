"""The embedded broker: an unmodified Kafka in KRaft mode, one node, in the folder `kafka` of a home.

For tests, notebooks and whoever wants a broker and nothing else:

    with Broker(home) as broker:
        Producer({"bootstrap.servers": broker.bootstrap})
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

from memfold.infra.broker_setup import BrokerLaunch, prepare_broker
from memfold.infra.fast_start import with_fast_start
from memfold.infra.home import only_one, prepare_home
from memfold.infra.java import find_java
from memfold.infra.kafka_jars import Progress, jars_folder, kafka_jars, no_progress
from memfold.infra.kafka_runtime import KafkaRuntime
from memfold.infra.processes import (
    ProcessRecord,
    clear_stale,
    how_it_ended,
    remove_record,
    stop_process,
    write_record,
)
from memfold.infra.writable import wait_writable

ROLE = "broker"
START_TIMEOUT = 60.0
STOP_DEADLINE = 20.0


def kafka_runtime(progress: Progress = no_progress) -> KafkaRuntime:
    """The Java and the jars of this machine; fetches and prepares what is not in the cache.

    Raises JavaNotFound, KafkaNotFetched, KafkaJarsChanged, EmbeddedExtraMissing.
    """
    runtime = KafkaRuntime(find_java(), kafka_jars(progress))
    return with_fast_start(runtime, jars_folder(), progress)


class Broker:
    """A broker for as long as the block runs. Stale processes of a crashed run in the same home are stopped first.

    Raises on entering: StackRunning, BrokerNotStarted, and what `kafka_runtime` raises.
    """

    def __init__(self, home: Path, progress: Progress = no_progress) -> None:
        self.home = home
        self.bootstrap = ""
        """`127.0.0.1:port`, once entered; the same port again at the next start if it is free then."""
        self._progress = progress
        self._closing = ExitStack()

    def __enter__(self) -> Broker:
        with ExitStack() as undo:
            home = prepare_home(self.home)
            undo.enter_context(only_one(home))
            clear_stale(home / "run", STOP_DEADLINE)
            launch = prepare_broker(home, kafka_runtime(self._progress))
            undo.enter_context(_running(home, launch))
            self.bootstrap = launch.bootstrap
            self._closing = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()


@contextmanager
def _running(home: Path, launch: BrokerLaunch) -> Iterator[None]:
    process = launch.start()
    record = ProcessRecord.of(ROLE, process.pid)
    write_record(home / "run", record)
    try:
        if not wait_writable(launch.bootstrap, lambda: process.poll() is None, START_TIMEOUT):
            status = process.poll()
            if status is not None:
                launch.ended_unready(status)
            how = "did not take writes in time" if status is None else how_it_ended(status)
            raise launch.error(how)
        yield
    finally:
        stop_process(record, STOP_DEADLINE)
        process.wait()
        remove_record(home / "run", ROLE)
