"""What a question to the full log raises beside the errors that all rooms share."""

from __future__ import annotations

from memfold.schemas.errors import MemfoldError


class TooMuchToOpen(MemfoldError, ValueError):
    """A question would open more encrypted records than are opened at once. Do: narrow the bound that the message names."""


class QueryStopped(MemfoldError, TimeoutError):
    """A query ran too long, or found more rows or needed more memory than it may. Do: filter, aggregate or LIMIT, or narrow the bounds."""


class UnknownRecord(MemfoldError, LookupError):
    """No event or command of this tenant has this id. Do: take an event_id or command_id from the log, a history or a receipt."""
