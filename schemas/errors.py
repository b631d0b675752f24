"""The root of memfold's errors, and those of the wire format and the key store."""

from __future__ import annotations


class MemfoldError(Exception):
    """Root of memfold's errors. What to do is said by each subclass."""


class UnknownSchema(MemfoldError, LookupError):
    """No released schema has this name or fingerprint. Do: upgrade memfold; a newer version wrote this."""


class Unreadable(MemfoldError, ValueError):
    """Bytes are not a record that memfold wrote, or were changed since. Do: find them in quarantine; find who wrote them."""


class ReaderTooOld(Unreadable):
    """A genuine record, of a schema that came after this memfold. Do: upgrade memfold; nothing was passed over."""


class KeyDestroyed(MemfoldError, LookupError):
    """The subject's key was destroyed: its records can never be opened again. Do: nothing; this is what erasure means."""


class UnknownKey(MemfoldError, LookupError):
    """A record names a key that this key store never had. Do: restore the key store that belongs to this log."""


class WrongKey(MemfoldError, PermissionError):
    """The key-encrypting key does not open this key store. Do: set MEMFOLD_KEY to the key that the store was made with."""


class KeysUnreachable(MemfoldError, ConnectionError):
    """The key store does not answer; nothing was written. Do: start its PostgreSQL, or correct MEMFOLD_KEY_STORE."""


class KeysRefused(MemfoldError, RuntimeError):
    """The key store cannot be used: no address, no rights, no client, or keys where none should be. Do: what the message says."""
