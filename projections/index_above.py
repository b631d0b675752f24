"""From which size on a shard of vectors has indices; apart from what builds them, for a setting needs no LanceDB."""

INDEX_ABOVE = 20_000
"""Memories in one shard."""
