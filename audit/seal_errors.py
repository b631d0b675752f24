"""What sealing and checking seals raise."""

from __future__ import annotations

from memfold.memory.errors import MemfoldError


class NoteRefused(MemfoldError, ValueError):
    """A signed note is malformed, or not signed by the key that it should be. Do: get it again from who made it; believe nothing in it."""


class SealRefused(MemfoldError, RuntimeError):
    """The archive is not what was sealed before, so it is not sealed again. Do: `memfold audit verify` names the record; restore it."""


class SealKeyReplaced(MemfoldError, PermissionError):
    """The seal key is not the one that signed the last seals. Do: restore seals/key from a copy; find out who replaced it."""


class SealerRunning(MemfoldError, OSError):
    """Another process seals this archive. Do: nothing, or stop that worker; two sealers could sign two histories."""


class ProofRefused(MemfoldError, ValueError):
    """A proof does not show what it claims, or cannot be made. Do: what the message says; treat the event as unproven."""
