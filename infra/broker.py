"""The embedded broker: an unmodified Kafka in KRaft mode, one node, in the folder `kafka` of a home.

For tests, notebooks and whoever wants a broker and nothing else:

    with Broker(home) as broker:
        Producer({"bootstrap.servers": broker.bootstrap})
"""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from memfold.infra.broker_setup import BrokerLaunch, prepare_broker
from memfold.infra.errors import BrokerNotStarted
from memfold.infra.home import only_one, prepare_home
from memfold.infra.kafka_jars import Progress, no_progress
from memfold.infra.processes import (
    ProcessRecord,
    clear_stale,
    remove_record,
    start_process,
    stop_process,
    write_record,
)
from memfold.infra.writable import wait_writable

ROLE = "broker"
START_TIMEOUT = 60.0
STOP_DEADLINE = 20.0


def launch_broker(home: Path, launch: BrokerLaunch) -> tuple[subprocess.Popen[bytes], ProcessRecord]:
    """Start the broker and record it in `<home>/run`; it is not writable yet."""
    process = start_process(launch.argv, cwd=launch.folder, env=launch.env, output=launch.output)
    record = ProcessRecord.of(ROLE, process.pid)
    write_record(home / "run", record)
    return process, record


class Broker:
    """A broker for as long as the block runs. Stale processes of a crashed run in the same home are stopped first.

    Raises on entering: StackRunning, JavaNotFound, KafkaNotFetched, KafkaJarsChanged, BrokerNotStarted.
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
            launch = prepare_broker(home, self._progress)
            process, record = launch_broker(home, launch)
            undo.callback(remove_record, home / "run", ROLE)
            undo.callback(process.wait)
            undo.callback(stop_process, record, STOP_DEADLINE)
            if not wait_writable(launch.bootstrap, lambda: process.poll() is None, START_TIMEOUT):
                raise not_started(launch, process)
            self.bootstrap = launch.bootstrap
            self._closing = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()


def not_started(launch: BrokerLaunch, process: subprocess.Popen[bytes]) -> BrokerNotStarted:
    """The error for a broker that ended or did not answer in time; names both of its logs."""
    what = (
        f"ended with status {process.returncode}" if process.poll() is not None else "did not answer in time"
    )
    return BrokerNotStarted(
        f"Kafka at {launch.bootstrap} {what}; see {launch.output} and {launch.output.with_name('broker.log')}"
    )
