"""The key store of a deployment: in the home, or in PostgreSQL where `MEMFOLD_KEY_STORE` says so. Every process opens it here.

Two key stores for one log would be two subjects for one person, and records that only half of the processes can open. So a home
whose keys are in PostgreSQL says so (`keys.elsewhere`), and a home that has its own is not opened with another.
"""

from __future__ import annotations

from pathlib import Path

from memfold.projections.durable import replace_durably
from memfold.schemas.errors import WrongKey
from memfold.schemas.key_rows import KeyPlace, Postgres
from memfold.schemas.keystore import KeyStore
from memfold.serve.settings import Settings

FILE = "keys.db"
ELSEWHERE = "keys.elsewhere"
_NOTE = "The key store of this home is in PostgreSQL: MEMFOLD_KEY_STORE.\n"


def place_of(settings: Settings) -> KeyPlace:
    """Where the keys are. Raises WrongKey where the home says otherwise."""
    own, note = settings.folder / FILE, settings.folder / ELSEWHERE
    if settings.key_store is None:
        if note.exists():
            raise WrongKey(
                f"the key store of {settings.folder} is in PostgreSQL, and MEMFOLD_KEY_STORE is not set; set it to its address"
            )
        return own
    if own.exists():
        raise WrongKey(
            f"MEMFOLD_KEY_STORE is set, and {own} is there: a log has one key store. `memfold infra move-keys` takes the keys there; "
            "for this home's own, unset it"
        )
    return Postgres(settings.key_store.get_secret_value())


def is_there(settings: Settings) -> bool:
    """Whether the home knows of a key store. Raises as `place_of`."""
    place = place_of(settings)
    return place.is_file() if isinstance(place, Path) else (settings.folder / ELSEWHERE).exists()


def keys_of(settings: Settings) -> KeyStore:
    """Opened, and made where none was there yet. Raises WrongKey, KeysUnreachable, KeysRefused."""
    place = place_of(settings)
    keys = KeyStore(place, settings.key_encrypting_key())
    if not isinstance(place, Path):
        note_elsewhere(settings.folder)
    return keys


def note_elsewhere(home: Path) -> None:
    """Write down that its keys are not in the home."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (home / ELSEWHERE).exists():
        replace_durably(home / ELSEWHERE, _NOTE.encode())
