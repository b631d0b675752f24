"""What the archive raises beside the errors that all shards share."""

from __future__ import annotations

from memfold.schemas.errors import MemfoldError


class ArchiveGap(MemfoldError, ValueError):
    """Records do not follow what is archived; nothing was written. Do: read the log again from the offset that the message names."""


class ArchiveNotWritten(MemfoldError, OSError):
    """A segment could not be written; the log still has it. Do: free space or rights, then start the archive worker again."""
