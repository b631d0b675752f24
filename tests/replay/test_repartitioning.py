"""The map from few partitions to many: nothing is lost, nobody's events change their order or count otherwise, and it can be proven."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from memfold.memory.errors import InvalidInput, RestoreRefused
from memfold.projections.base import Position, fenced
from memfold.replay.repartitioning import MovedLog, check_counts, old_roots, roots_of
from memfold.schemas.elsewhere import ELSEWHERE, is_elsewhere
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS, key_of
from memfold.schemas.records import Event, LogRecord
from memfold.streams.projecting import open_batch
from tests.audit.logs import KEK, log_of
from tests.strategies import history

LENGTH = 60


class ListLog:
    """Partitions in memory."""

    def __init__(self, *partitions: Sequence[LogRecord]) -> None:
        self.partitions = partitions

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[list[LogRecord]]:
        yield list(self.partitions[partition][start:end])

    def whole(self, topic: str, partition: int, end: int) -> Iterator[list[LogRecord]]:
        return self.read(topic, partition, 0, end)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyStore]:
    with closing(KeyStore(tmp_path_factory.mktemp("keys") / "keys.db", KEK)) as store:
        yield store


def moved_log(log: Sequence[LogRecord], keys: KeyStore, now: int) -> ListLog:
    source = MovedLog(ListLog(log), {(EVENTS, 0): len(log)}, 1, now, everywhere(keys))
    return ListLog(*([one for batch in source.batches(EVENTS, part) for one in batch] for part in range(now)))


def everywhere(keys: KeyStore) -> set[bytes]:
    return {key_of(*each) for each in keys.tenants()}


def counted(log: Sequence[LogRecord], keys: KeyStore) -> list[Event]:
    return fenced(open_batch(log, keys).events, Position())[0]


def touching(events: Sequence[Event]) -> dict[str, list[tuple[int, str]]]:
    """Of each subject the events that may change what it has, in order."""
    clears = [one for one in events if any(each.whole_tenant for each in one.body.clears)]
    found: dict[str, list[tuple[int, str]]] = {}
    for subject in {event.envelope.subject for event in events}:
        own = [one for one in events if one.envelope.subject == subject or one in clears]
        found[subject] = [(one.offset, one.envelope.record_id) for one in own]
    return found


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), now=st.sampled_from([2, 3, 4, 16]))
def test_everybody_s_events_count_as_before_at_their_offsets(keys: KeyStore, seed: int, now: int) -> None:
    log = log_of(history(Random(seed), LENGTH), keys)
    new = moved_log(log, keys, now)
    before = touching(counted(log, keys))
    found: set[str] = set()
    for records in new.partitions:
        assert [record.offset for record in records] == list(range(len(log)))
        own = {record.key for record in records} - everywhere(keys)
        for subject, events in touching(counted(records, keys)).items():
            if any(key.endswith(subject.encode()) for key in own):
                assert events == before[subject]
                assert subject not in found, "in one partition only"
                found.add(subject)
    tenants = {subject for _, subject in keys.tenants()}
    assert found == before.keys() - tenants, "nobody is missing"


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), now=st.sampled_from([2, 3, 8]))
def test_the_old_tree_grows_out_of_the_new_partitions_and_only_out_of_all_of_them(
    keys: KeyStore, seed: int, now: int
) -> None:
    log = log_of(history(Random(seed), LENGTH), keys)
    new, ends = moved_log(log, keys, now), {(EVENTS, 0): len(log)}
    roots = roots_of(ends, ListLog(log).whole)
    assert old_roots(ends, new.whole, 1, now, everywhere(keys)) == roots
    chance = Random(seed)
    partition, offset = chance.choice(
        [(one.partition, one.offset) for part in new.partitions for one in part if not is_elsewhere(one)]
    )
    for value in (ELSEWHERE, new.partitions[partition][offset].value + b"!"):
        changed = [list(part) for part in new.partitions]
        changed[partition][offset] = replace(changed[partition][offset], value=value)
        try:
            assert old_roots(ends, ListLog(*changed).whole, 1, now, everywhere(keys)) != roots
        except RestoreRefused:
            continue


def test_a_second_move_is_as_one(keys: KeyStore) -> None:
    """1 to 2 to 8 is 1 to 8: what is elsewhere stays elsewhere."""
    log = log_of(history(Random(7), LENGTH), keys)
    first = moved_log(log, keys, 2)
    source = MovedLog(first, {(EVENTS, part): len(log) for part in range(2)}, 2, 8, everywhere(keys))
    second = [[one for batch in source.batches(EVENTS, part) for one in batch] for part in range(8)]
    assert second == list(moved_log(log, keys, 8).partitions)


@pytest.mark.parametrize(("was", "now"), [(4, 4), (4, 2), (4, 6), (3, 16)])
def test_a_count_that_is_no_multiple_is_refused_with_one_that_is(was: int, now: int) -> None:
    with pytest.raises(InvalidInput, match=f"multiple, {2 * was} or"):
        check_counts(was, now)
