"""Tells memfold what is said, from Python: records of docs/commands.md in a topic that `memfold ingest topic` reads."""

import json
import sys

from confluent_kafka import KafkaError, Message, Producer


def written(error: KafkaError | None, message: Message) -> None:
    if error is not None:
        sys.exit(f"not written: {error}")
    print(f"written: {message.topic()}/{message.partition()}@{message.offset()}")


def main(servers: str, topic: str) -> None:
    # acks=all: once it says so, no broker that dies takes the record with it.
    producer = Producer({"bootstrap.servers": servers, "acks": "all", "enable.idempotence": True})
    record = {
        "idempotency_key": "python-1",
        "user_id": "python-user",
        "messages": [{"role": "user", "content": "I write in Python"}],
        "metadata": {"channel": "web"},
        "time": "2026-03-03T10:00:00Z",
    }
    # The user as the key keeps the order of what each one says. Sent twice on purpose: it counts once.
    for _ in range(2):
        producer.produce(topic, json.dumps(record), record["user_id"], on_delivery=written)
    producer.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
