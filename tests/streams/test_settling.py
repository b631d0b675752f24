"""Answers of a cluster that is about to settle are not the last word: the question is asked again."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from memfold.streams.connection import once_settled


@pytest.mark.parametrize(
    "code",
    [KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.NOT_COORDINATOR, KafkaError._DESTROY_BROKER],
    ids=str,
)
def test_what_passes_is_asked_again(code: int) -> None:
    answers = [KafkaException(KafkaError(code)), None]

    @once_settled
    def asked() -> str:
        failure = answers.pop(0)
        if failure is not None:
            raise failure
        return "settled"

    assert asked() == "settled"
    assert not answers


def test_a_refusal_is_the_last_word() -> None:
    asked: list[None] = []

    @once_settled
    def refused() -> None:
        asked.append(None)
        raise KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))

    with pytest.raises(KafkaException):
        refused()
    assert len(asked) == 1
