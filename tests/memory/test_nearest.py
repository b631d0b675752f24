"""Nearest is what a plain search over the same vectors finds, whatever was put, replaced and dropped before."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memfold.memory.nearest import Nearest

names = st.sampled_from([f"m{n}" for n in range(100)])
vectors = st.lists(st.integers(-3, 3), min_size=4, max_size=4).map(
    lambda v: np.asarray(v, dtype="<f2").tobytes()
)
steps = st.lists(
    st.tuples(st.sampled_from(["put", "put", "put", "drop"]), names, vectors | st.just(b"")), max_size=200
)


@given(steps, vectors, st.integers(1, 6))
def test_the_best_are_those_of_a_plain_search(
    done: list[tuple[str, str, bytes]], asked: bytes, count: int
) -> None:
    nearest, plain = Nearest(), dict[str, bytes]()
    for verb, name, vector in done:
        if verb == "put":
            nearest.put(name, vector)
            plain[name] = vector
        else:
            nearest.drop(name)
            plain.pop(name, None)
    query = np.frombuffer(asked, "<f2").astype(np.float32)
    scores = {n: float(np.frombuffer(v, "<f2").astype(np.float32) @ query) for n, v in plain.items() if v}
    even = {name: score for name, score in scores.items() if int(name[1:]) % 2 == 0}
    wanted = sorted(even.items(), key=lambda one: (-one[1], one[0]))[:count]
    assert nearest.best(query[None, :], lambda name: int(name[1:]) % 2 == 0, count) == [wanted]
