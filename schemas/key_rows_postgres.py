"""The rows of a key store in PostgreSQL: for a deployment whose machines share no disk that SQLite is safe on.

Three tables in the address' database, in the first schema of its search path; one deployment each. PostgreSQL keeps what was
destroyed in its write-ahead log, in its backups, and in pages until they are used again: it is wrapped there, so what makes it
worthless is to lose the key-encrypting key, never the same one for two deployments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from memfold.schemas.errors import KeysRefused, KeysUnreachable, MemfoldError
from memfold.schemas.key_rows import Key, Rows, Subject

_TABLES = """
CREATE TABLE IF NOT EXISTS memfold_key_meta (name text PRIMARY KEY, value bytea NOT NULL);
CREATE TABLE IF NOT EXISTS memfold_key_subjects (
  lookup bytea PRIMARY KEY, subject text NOT NULL UNIQUE, tenant text NOT NULL, kind text NOT NULL, sealed_name bytea
);
CREATE TABLE IF NOT EXISTS memfold_keys (
  key_id text PRIMARY KEY, subject text NOT NULL, generation int NOT NULL, wrapped bytea, UNIQUE (subject, generation)
);
CREATE INDEX IF NOT EXISTS memfold_key_erased ON memfold_key_subjects (subject) WHERE sealed_name IS NULL;
CREATE INDEX IF NOT EXISTS memfold_key_tenants ON memfold_key_subjects (tenant, subject);
"""
_MAKING = 7_301_466_201
"""The advisory lock under which tables are made: two that make the same one at the same moment would refuse each other."""
_SUBJECT = "lookup, subject, tenant, kind, sealed_name"
_KEY = "key_id, subject, generation, wrapped"
_PATIENCE = 10

Answer = TypeVar("Answer")


class PostgresKeyRows:
    """A `KeyRows`. A connection that broke is opened anew once for each question. Raises KeysUnreachable, KeysRefused."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection = self._connect()
        try:
            self._ask(_made)
        except MemfoldError:
            self._connection.close()
            raise

    def first(self, name: str, value: bytes) -> bytes:
        written = "INSERT INTO memfold_key_meta VALUES (%s, %s) ON CONFLICT DO NOTHING"
        self._ask(lambda db: db.execute(written, (name, value)))
        found = self._row("SELECT value FROM memfold_key_meta WHERE name = %s", name)
        assert found is not None
        return bytes(found[0])

    def subject(self, lookup: bytes) -> str | None:
        row = self._row("SELECT subject FROM memfold_key_subjects WHERE lookup = %s", lookup)
        return None if row is None else str(row[0])

    def add(self, subject: Subject, key: Key) -> str:
        def added(db: psycopg.Connection) -> None:
            with db.transaction():
                command = "INSERT INTO memfold_key_subjects VALUES (%s, %s, %s, %s, %s) ON CONFLICT (lookup) DO NOTHING"
                if db.execute(command, subject).rowcount:
                    db.execute("INSERT INTO memfold_keys VALUES (%s, %s, %s, %s)", key)

        self._ask(added)
        found = self.subject(subject.lookup)
        assert found is not None
        return found

    def named(self, subject: str) -> bytes | None:
        row = self._row("SELECT sealed_name FROM memfold_key_subjects WHERE subject = %s", subject)
        return None if row is None else row[0]

    def subjects(self, tenant: str) -> list[Subject]:
        query = f'SELECT {_SUBJECT} FROM memfold_key_subjects WHERE tenant = %s ORDER BY subject COLLATE "C"'
        return [Subject(*row) for row in self._rows(query, tenant)]

    def whole_tenants(self) -> list[tuple[str, str]]:
        rows = self._rows("SELECT tenant, subject FROM memfold_key_subjects WHERE kind = 'tenant'")
        return [(tenant, subject) for tenant, subject in rows]

    def newest(self, subject: str) -> str | None:
        query = "SELECT key_id FROM memfold_keys WHERE subject = %s ORDER BY generation DESC LIMIT 1"
        row = self._row(query, subject)
        return None if row is None else str(row[0])

    def key(self, key_id: str) -> Key | None:
        row = self._row(f"SELECT {_KEY} FROM memfold_keys WHERE key_id = %s", key_id)
        return None if row is None else Key(*row)

    def any_key(self) -> bool:
        return self._row("SELECT 1 FROM memfold_keys LIMIT 1") is not None

    def destroy(self, subject: str, lookup: bytes) -> None:
        def destroyed(db: psycopg.Connection) -> None:
            with db.transaction():
                db.execute("UPDATE memfold_keys SET wrapped = NULL WHERE subject = %s", (subject,))
                renamed = "UPDATE memfold_key_subjects SET sealed_name = NULL, lookup = %s WHERE subject = %s"
                db.execute(renamed, (lookup, subject))
            # The old rows are cleared from their pages, where nobody still reads them.
            db.execute("VACUUM memfold_keys, memfold_key_subjects")

        self._ask(destroyed)

    def erased(self) -> set[str]:
        return {
            row[0] for row in self._rows("SELECT subject FROM memfold_key_subjects WHERE sealed_name IS NULL")
        }

    def changes(self) -> int:
        """How many are erased; the index on them counts."""
        row = self._row("SELECT count(*) FROM memfold_key_subjects WHERE sealed_name IS NULL")
        assert row is not None
        return int(row[0])

    def all_rows(self) -> Rows:
        def read(db: psycopg.Connection) -> Rows:
            with db.transaction():
                db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                by_id = 'ORDER BY {} COLLATE "C"'
                subjects = f"SELECT {_SUBJECT} FROM memfold_key_subjects {by_id.format('subject')}"
                keys = f"SELECT {_KEY} FROM memfold_keys {by_id.format('key_id')}"
                return Rows(
                    dict(db.execute("SELECT name, value FROM memfold_key_meta").fetchall()),
                    [Subject(*row) for row in db.execute(subjects.encode())],
                    [Key(*row) for row in db.execute(keys.encode())],
                )

        return self._ask(read)

    def fill(self, rows: Rows) -> None:
        def filled(db: psycopg.Connection) -> None:
            with db.transaction(), db.cursor() as cursor:
                cursor.execute("LOCK TABLE memfold_keys IN EXCLUSIVE MODE")
                if cursor.execute("SELECT 1 FROM memfold_keys LIMIT 1").fetchone():
                    raise KeysRefused(f"{self._where()} holds other keys already; nothing was written")
                cursor.execute("DELETE FROM memfold_key_meta")
                cursor.executemany("INSERT INTO memfold_key_meta VALUES (%s, %s)", [*rows.names.items()])
                cursor.executemany(
                    "INSERT INTO memfold_key_subjects VALUES (%s, %s, %s, %s, %s)", rows.subjects
                )
                cursor.executemany("INSERT INTO memfold_keys VALUES (%s, %s, %s, %s)", rows.keys)

        self._ask(filled)

    def close(self) -> None:
        self._connection.close()

    def _row(self, query: str, *values: object) -> tuple[Any, ...] | None:
        return self._ask(lambda db: db.execute(query.encode(), values).fetchone())

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return self._ask(lambda db: db.execute(query.encode(), values).fetchall())

    def _ask(self, asked: Callable[[psycopg.Connection], Answer]) -> Answer:
        """What `asked` returns, asked again of a new connection where the old one broke: each question may be asked twice."""
        try:
            try:
                return asked(self._connection)
            except psycopg.OperationalError:
                if not self._connection.broken:
                    raise
                self._connection.close()
                self._connection = self._connect()
                return asked(self._connection)
        except psycopg.OperationalError as failure:
            raise self._unreachable(failure) from failure
        except psycopg.Error as refused:
            raise KeysRefused(f"{self._where()} refuses: {_line(refused)}") from refused

    def _connect(self) -> psycopg.Connection:
        try:
            return psycopg.connect(
                self._address,
                autocommit=True,
                connect_timeout=_PATIENCE,
                application_name="memfold",
                # A database that names no encoding of its own would give bytes for texts.
                client_encoding="UTF8",
            )
        except psycopg.OperationalError as failure:
            raise self._unreachable(failure) from failure
        except psycopg.ProgrammingError as wrong:
            raise KeysRefused(
                f"MEMFOLD_KEY_STORE is no address of PostgreSQL ({_line(wrong)}); postgresql://USER@HOST/DATABASE is one"
            ) from wrong

    def _unreachable(self, failure: psycopg.Error) -> KeysUnreachable:
        return KeysUnreachable(
            f"{self._where()} does not answer ({_line(failure)}); what nobody holds the key of can be neither read nor written meanwhile. "
            "Start it, or correct MEMFOLD_KEY_STORE"
        )

    def _where(self) -> str:
        """Without who asks, and without what only they know."""
        given = conninfo_to_dict(self._address)
        place = (
            ":".join(str(given[name]) for name in ("host", "port") if given.get(name)) or "its default host"
        )
        return f"the key store, PostgreSQL at {place}, database {given.get('dbname', 'by default')},"


def _made(db: psycopg.Connection) -> None:
    """Only where they are not there: who may not make tables may still use them."""
    found = db.execute("SELECT to_regclass('memfold_keys')").fetchone()
    if found is None or found[0] is None:
        with db.transaction():
            db.execute("SELECT pg_advisory_xact_lock(%s)", (_MAKING,))
            db.execute(_TABLES)


def _line(error: psycopg.Error) -> str:
    return " ".join(str(error).split())
