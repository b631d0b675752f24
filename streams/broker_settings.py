"""What each broker of a cluster is set to: a version that is new enough, and no topics by accident."""

from __future__ import annotations

import logging

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from memfold.memory.errors import BrokerTooOld
from memfold.streams.connection import once_settled
from memfold.streams.refusals import OLDEST, too_old

TIMEOUT = 8.0
"""Seconds for an answer."""
_SILENT = {KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError.REQUEST_TIMED_OUT}
_VERSION = "inter.broker.protocol.version"

logger = logging.getLogger(__name__)


@once_settled
def wrong_broker(admin: AdminClient) -> list[str]:
    """What is set wrong, in words; of a broker that does not answer nothing. Raises BrokerTooOld, KafkaException."""
    wrong: list[str] = []
    brokers = admin.list_topics(timeout=TIMEOUT).brokers
    # A broker tells its own settings only, so each is asked by itself.
    asked = [
        admin.describe_configs([ConfigResource(ResourceType.BROKER, str(broker))], request_timeout=TIMEOUT)
        for broker in brokers
    ]
    old: list[str] = []
    for resource, future in (pair for each in asked for pair in each.items()):
        try:
            found = future.result()
        except KafkaException as failure:
            if failure.args[0].code() not in _SILENT:
                raise
            # The others see it, so it is no reason to do nothing; whoever starts where it answers looks at it.
            logger.warning(
                "broker %s does not answer from here (%s): its settings are not checked, and partitions that it leads wait for it",
                resource.name,
                failure.args[0].str(),
            )
            continue
        if _VERSION in found and too_old(found[_VERSION].value):
            old.append(f"broker {resource.name} ({_VERSION} {found[_VERSION].value})")
        if found["auto.create.topics.enable"].value != "false":
            # A topic made by accident has the broker's defaults, which forget after seven days.
            wrong.append(f"broker {resource.name}: auto.create.topics.enable is true, must be false")
    if old:
        raise BrokerTooOld(
            f"{', '.join(sorted(old))}: memfold needs Kafka {'.'.join(map(str, OLDEST))} or newer; upgrade, then start again"
        )
    return wrong
