"""`memfold infra move-keys`: the key store of a home is taken to PostgreSQL, while nothing runs."""

from __future__ import annotations

from contextlib import closing

from memfold.memory.errors import InvalidInput
from memfold.schemas.key_rows import Postgres
from memfold.schemas.key_rows_sqlite import SqliteKeyRows
from memfold.schemas.keystore import KeyStore, rows_at
from memfold.serve.keys import FILE, note_elsewhere
from memfold.serve.settings import Settings

MOVED = f"{FILE}.moved"


def move_keys(settings: Settings) -> int:
    """How many keys were taken along; what the home had stays in it as `keys.db.moved`. Interrupted, it is begun again.

    Raises InvalidInput; WrongKey; KeysRefused where another process has the old store open or the new one holds other keys;
    KeysUnreachable.
    """
    own = settings.folder / FILE
    if settings.key_store is None:
        raise InvalidInput("where to? Set MEMFOLD_KEY_STORE to the address of a PostgreSQL")
    if not own.is_file():
        raise InvalidInput(f"{own} is not there: nothing to take along")
    place = Postgres(settings.key_store.get_secret_value())
    KeyStore(own, settings.key_encrypting_key()).close()
    # Whoever had it open would write the keys of new subjects into a file that nobody reads any more.
    with closing(SqliteKeyRows(own, alone=True)) as source, closing(rows_at(place)) as target:
        rows = source.all_rows()
        if target.all_rows() != rows:
            target.fill(rows)
        note_elsewhere(settings.folder)
    # Only now that it is closed is everything in that one file; who comes in between finds the note.
    own.rename(settings.folder / MOVED)
    return len(rows.keys)
