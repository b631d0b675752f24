"""Whatever subjects ask and when: each is granted what it may have, and none takes from another."""

from __future__ import annotations

from collections import defaultdict
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from memfold.streams.allowance import Allowance

RATES, BURSTS = st.sampled_from([0.5, 1.0, 4.0]), st.integers(1, 5)
ASKED = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([0.0, 0.0, 0.125, 0.25, 1.0, 8.0])), max_size=60
)


def granted(rate: float, burst: int, asked: list[tuple[float, int]]) -> dict[int, list[tuple[float, bool]]]:
    now = [0.0]
    allowance = Allowance(rate, burst, lambda: now[0])
    found: defaultdict[int, list[tuple[float, bool]]] = defaultdict(list)
    for now[0], subject in asked:
        found[subject].append((now[0], allowance.granted(subject)))
    return found


def timed(asked: list[tuple[int, float]]) -> list[tuple[float, int]]:
    return list(zip(accumulate(rest for _, rest in asked), (subject for subject, _ in asked), strict=True))


@given(RATES, BURSTS, ASKED)
def test_no_subject_gets_more_than_its_rate_or_less_than_it_may_have(
    rate: float, burst: int, asked: list[tuple[int, float]]
) -> None:
    for answers in granted(rate, burst, timed(asked)).values():
        tokens, last = float(burst), 0.0
        for at, yes in answers:
            tokens, last = min(burst, tokens + (at - last) * rate), at
            assert yes is (tokens >= 1)
            tokens -= yes


@given(RATES, BURSTS, ASKED)
def test_a_noisy_subject_takes_nothing_from_others(
    rate: float, burst: int, asked: list[tuple[int, float]]
) -> None:
    together = granted(rate, burst, timed(asked))
    for subject, answers in together.items():
        alone = granted(rate, burst, [(at, one) for at, one in timed(asked) if one == subject])
        assert answers == alone[subject]


def test_who_has_rested_is_forgotten() -> None:
    now = [0.0]
    allowance = Allowance(1.0, 1, lambda: now[0])
    for subject in range(10_000):
        now[0] += 0.5
        assert allowance.granted(subject)
        assert len(allowance) <= 4
