"""Rebuilding projections from the log, and proving that the result is the same."""
