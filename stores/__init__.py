"""Other vector stores, as folds of the same log: each holds what the vector projection holds, and is kept current like it."""
