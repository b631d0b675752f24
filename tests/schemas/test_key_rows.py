"""One suite for the places of a key store's rows: SQLite, and a real PostgreSQL."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.schemas.errors import KeyDestroyed, KeysRefused, KeysUnreachable, WrongKey
from memfold.schemas.key_rows import Key, KeyPlace, KeyRows, Postgres, Subject
from memfold.schemas.key_rows_sqlite import SqliteKeyRows
from memfold.schemas.keystore import KeyStore, rows_at
from tests.stores.postgres import binaries, postgres, readable_folder

needs_postgres = pytest.mark.skipif(
    binaries() is None, reason="no PostgreSQL: install postgresql-15-pgvector, or pgserver from PyPI"
)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with readable_folder() as folder, postgres(folder / "postgres") as address:
        yield address


def of_its_own(server: str) -> Postgres:
    """A schema of the server that nobody else has."""
    name = f"keys_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE SCHEMA {name}".encode())
    return Postgres(f"{server} options=-csearch_path={name}")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=needs_postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> KeyPlace:
    if request.param == "sqlite":
        return tmp_path / "keys.db"
    return of_its_own(request.getfixturevalue("server"))


def someone(tenant: str = "t", kind: str = "user", number: int = 0) -> tuple[Subject, Key]:
    subject = f"subject-{number}"
    return Subject(bytes([number]), subject, tenant, kind, b"name"), Key(f"key-{number}", subject, 1, b"key")


def test_what_is_written_is_read_by_another(place: KeyPlace) -> None:
    with closing(rows_at(place)) as one, closing(rows_at(place)) as other:
        assert not one.any_key()
        for number, (tenant, kind) in enumerate([("t", "user"), ("t", "tenant"), ("u", "agent")]):
            subject, key = someone(tenant, kind, number)
            assert one.add(subject, key) == subject.subject
        assert other.any_key()
        assert other.subject(b"\x01") == "subject-1"
        assert other.subject(b"\x09") is None
        assert other.named("subject-0") == b"name"
        assert other.named("subject-9") is None
        assert [one.subject for one in other.subjects("t")] == ["subject-0", "subject-1"]
        assert other.whole_tenants() == [("t", "subject-1")]
        assert other.newest("subject-2") == "key-2"
        assert other.newest("subject-9") is None
        assert other.key("key-2") == Key("key-2", "subject-2", 1, b"key")
        assert other.key("key-9") is None


def test_the_first_value_under_a_name_stays(place: KeyPlace) -> None:
    with closing(rows_at(place)) as one, closing(rows_at(place)) as other:
        assert one.first("check", b"one") == b"one"
        assert other.first("check", b"other") == b"one"


def test_of_two_that_add_the_same_one_counts(place: KeyPlace) -> None:
    rows_at(place).close()
    found: list[str] = []
    together = threading.Barrier(4)

    def add() -> None:
        with closing(rows_at(place)) as rows:
            together.wait()
            subject = str(uuid.uuid4())
            found.append(
                rows.add(Subject(b"same", subject, "t", "user", b"n"), Key(subject, subject, 1, b"k"))
            )

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    with closing(rows_at(place)) as rows:
        assert [key.subject for key in rows.all_rows().keys] == found[:1]


def test_what_is_destroyed_is_gone_for_all(place: KeyPlace) -> None:
    with closing(rows_at(place)) as one, closing(rows_at(place)) as other:
        one.add(*someone())
        before = other.changes()
        one.destroy("subject-0", b"nobody")
        assert other.changes() != before
        assert other.erased() == {"subject-0"}
        assert other.subject(b"\x00") is None
        assert other.named("subject-0") is None
        assert other.key("key-0") == Key("key-0", "subject-0", 1, None)
        # Who comes back is somebody else.
        assert other.add(Subject(b"\x00", "new", "t", "user", b"name"), Key("new", "new", 1, b"k")) == "new"


def test_a_place_with_keys_is_not_filled(place: KeyPlace) -> None:
    with closing(rows_at(place)) as rows:
        rows.add(*someone())
        held = rows.all_rows()
        with pytest.raises(KeysRefused, match=r"holds (other )?keys already; nothing was written"):
            rows.fill(held._replace(keys=[]))
        assert rows.all_rows() == held


def test_a_key_store_is_one_for_those_who_open_it(place: KeyPlace) -> None:
    with closing(KeyStore(place, bytes(32))) as one, closing(KeyStore(place, bytes(32))) as other:
        alex = one.subject_of("t", "user", "alex")
        assert other.subject_of("t", "user", "alex") == alex
        assert other.name_of(alex) == "alex"
        key_id, key = one.sealing_key(alex)
        assert other.key(key_id) == key
        one.destroy(alex)
        with closing(KeyStore(place, bytes(32))) as third, pytest.raises(KeyDestroyed):
            third.key(key_id)
        assert one.subject_of("t", "user", "alex") != alex
    with pytest.raises(WrongKey, match="does not open"):
        KeyStore(place, bytes([1] * 32))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 4)),
        st.tuples(st.just("destroy"), st.integers(0, 4)),
        st.tuples(st.just("first"), st.integers(0, 4)),
    ),
    max_size=12,
)


@needs_postgres
@given(steps=STEPS)
def test_both_places_hold_the_same_after_the_same(
    server: str, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    places: list[KeyPlace] = [tmp_path_factory.mktemp("keys") / "keys.db", of_its_own(server)]
    told = [*map(told_of(steps), places)]
    assert told[0] == told[1]


def told_of(steps: list[tuple[str, int]]) -> Callable[[KeyPlace], object]:
    def told(place: KeyPlace) -> object:
        with closing(rows_at(place)) as rows:
            answers = [_step(rows, count, *step) for count, step in enumerate(steps)]
            return answers, rows.all_rows(), rows.erased(), rows.subjects("t")

    return told


def _step(rows: KeyRows, count: int, what: str, number: int) -> object:
    subject = f"{number}/{count}"
    if what == "add":
        key = Key(f"key-{subject}", subject, 1, b"k")
        return rows.add(Subject(bytes([number]), subject, "t", "user", b"n"), key)
    if what == "first":
        return rows.first("name", bytes([number]))
    found = rows.subject(bytes([number]))
    if found is not None:
        rows.destroy(found, f"gone {count}".encode())
    return found


def test_a_file_that_another_has_open_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    with closing(SqliteKeyRows(path)) as rows:
        rows.add(*someone())
        with pytest.raises(KeysRefused, match="is open in another process"):
            SqliteKeyRows(path, alone=True)
    with closing(SqliteKeyRows(path, alone=True)) as rows:
        assert rows.any_key()


@needs_postgres
def test_a_connection_that_broke_is_opened_anew(server: str) -> None:
    place = of_its_own(server)
    with closing(rows_at(place)) as rows:
        rows.add(*someone())
        with psycopg.connect(server, autocommit=True) as admin:
            ended = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'memfold'"
            )
            admin.execute(ended)
        assert rows.subject(b"\x00") == "subject-0"


@needs_postgres
def test_a_server_that_is_gone_is_said_without_its_password() -> None:
    with readable_folder() as folder:
        with postgres(folder / "postgres") as address:
            rows = rows_at(Postgres(f"{address} password=secret"))
        with (
            closing(rows),
            pytest.raises(KeysUnreachable, match=r"PostgreSQL at 127.0.0.1:\d+, database postgres") as gone,
        ):
            rows.subject(b"x")
    assert "secret" not in str(gone.value)
    assert "MEMFOLD_KEY_STORE" in str(gone.value)
    with pytest.raises(KeysUnreachable, match="does not answer"):
        rows_at(Postgres(f"{address} password=secret"))


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(KeysRefused, match="MEMFOLD_KEY_STORE is no address of PostgreSQL"):
        rows_at(Postgres("host=h nonsense"))


@needs_postgres
def test_who_may_not_make_tables_may_use_them(server: str) -> None:
    place = of_its_own(server)
    rows_at(place).close()
    schema = place.address.rpartition("=")[2]
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"DROP ROLE IF EXISTS agent_{schema}".encode())
        admin.execute(f"CREATE ROLE agent_{schema} LOGIN".encode())
        admin.execute(f"GRANT USAGE ON SCHEMA {schema} TO agent_{schema}".encode())
        rights = f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO agent_{schema}"
        admin.execute(rights.encode())
    theirs = Postgres(place.address.replace("user=postgres", f"user=agent_{schema}"))
    with closing(rows_at(theirs)) as rows:
        rows.add(*someone())
        rows.destroy("subject-0", b"nobody")
        assert rows.changes() == 1
    empty = of_its_own(server)
    with pytest.raises(KeysRefused, match="refuses: no schema has been selected to create in"):
        rows_at(Postgres(empty.address.replace("user=postgres", f"user=agent_{schema}")))
