"""The consumer groups by which workers follow the log: one for each role that does, and one for each mirror."""

GROUP_PREFIX = "memfold-"
"""Of every group of memfold's; a role's name or a mirror's is the rest."""
FOLLOWING = ("decide", "vector", "graph", "archive")
"""The roles whose workers share the partitions of the log."""
