"""Folds of the log: vector, graph and archive, each with its position in the same commit."""
