"""The Kafka of a home that nobody else uses meanwhile: the configured one, or the home's own broker for as long as a block runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from memfold.infra.broker import Broker
from memfold.infra.home import only_one, prepare_home
from memfold.serve.settings import Settings
from memfold.streams.connection import Connection


@contextmanager
def kafka_of(settings: Settings) -> Iterator[Connection]:
    """How to reach it. Raises StackRunning, BrokerNotStarted where it is the home's own."""
    if settings.bootstrap_servers is not None:
        yield settings.connection(settings.bootstrap_servers)
        return
    with Broker(settings.folder) as broker:
        yield settings.connection(broker.bootstrap)


@contextmanager
def held_kafka_of(settings: Settings) -> Iterator[Connection]:
    """The same, and no stack starts in the home meanwhile: where a broker of its own does not hold it, this does. Raises StackRunning."""
    if settings.bootstrap_servers is None:
        with kafka_of(settings) as connection:
            yield connection
        return
    with only_one(prepare_home(settings.folder)), kafka_of(settings) as connection:
        yield connection
