"""What each role may do on a Kafka that asks: one list, for `memfold infra acls`, for the check at every start, and for the tests.

Names are Kafka's own. Write and Read imply Describe, yet it is listed where a broker wants it by itself.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from memfold.infra.groups import GROUP_PREFIX
from memfold.memory.errors import InvalidInput
from memfold.schemas.partitions import ACCESS, COMMANDS, EVENTS, KEPT, QUARANTINE, SEALS

Resource = Literal["topic", "group", "cluster"]
TOPICS = (*KEPT, QUARANTINE, SEALS)
CLUSTER = "kafka-cluster"
"""The name of the only cluster that an ACL can mean."""
READER_GROUP = GROUP_PREFIX + "reader"
"""The readers that follow no group: librdkafka wants a name, and asks who coordinates it."""


@dataclass(frozen=True, slots=True)
class Acl:
    """Operations that a role needs on one resource; `prefixed`: on all whose names begin so."""

    resource: Resource
    name: str
    operations: tuple[str, ...]
    prefixed: bool = False


EVERYONE = (
    *(Acl("topic", topic, ("Describe", "DescribeConfigs")) for topic in TOPICS),
    Acl("cluster", CLUSTER, ("Describe", "DescribeConfigs")),
    Acl("group", READER_GROUP, ("Describe",)),
)
"""The guard looks at the settings of every topic and every broker before anything is read or written."""


def _reads(*topics: str) -> Iterator[Acl]:
    return (Acl("topic", topic, ("Read",)) for topic in topics)


def _writes(*topics: str) -> Iterator[Acl]:
    return (Acl("topic", topic, ("Write",)) for topic in topics)


def _follows(role: str, *topics: str) -> Iterator[Acl]:
    yield from _reads(*topics)
    yield Acl("group", GROUP_PREFIX + role, ("Describe", "Read"))


_PROJECTION = tuple(_writes(QUARANTINE))
ROLES: dict[str, tuple[Acl, ...]] = {
    "setup": (
        *(Acl("topic", topic, ("Create",)) for topic in TOPICS),
        *EVERYONE,
    ),
    "decide": (*EVERYONE, *_follows("decide", COMMANDS), *_reads(EVENTS), *_writes(EVENTS, QUARANTINE)),
    "vector": (*EVERYONE, *_follows("vector", EVENTS), *_PROJECTION),
    "graph": (*EVERYONE, *_follows("graph", EVENTS), *_PROJECTION),
    # Every worker opens a writer, and Kafka gives a number to those only who may write somewhere.
    "archive": (*EVERYONE, *_follows("archive", *KEPT), *_PROJECTION),
    "seal": (*EVERYONE, *_reads(SEALS), *_writes(SEALS)),
    "mirror": (
        *EVERYONE,
        *_reads(EVENTS),
        *_PROJECTION,
        Acl("group", GROUP_PREFIX + "mirror-", ("Describe", "Read"), prefixed=True),
    ),
    "caller": (*EVERYONE, *_reads(*TOPICS), *_writes(COMMANDS, ACCESS)),
    "rebuild": (*EVERYONE, *_reads(*TOPICS)),
    "restore": (
        *(Acl("topic", topic, ("Create",)) for topic in TOPICS),
        *EVERYONE,
        *(Acl("topic", topic, ("AlterConfigs", "Read", "Write")) for topic in KEPT),
    ),
    "repartition": (
        *EVERYONE,
        *_reads(*KEPT),
        # Nobody may follow the log meanwhile, and Kafka lists only the groups that one may look at.
        Acl("group", GROUP_PREFIX, ("Describe",), prefixed=True),
    ),
    "witness": tuple(_reads(SEALS)),
}
"""Setup makes the topics, once; caller is whoever opens Memory; the others are workers and commands of these names."""


def acls_of(roles: Iterable[str]) -> list[Acl]:
    """What these roles need together, one line a resource. Raises InvalidInput."""
    needed: dict[tuple[Resource, str, bool], dict[str, None]] = {}
    for role in roles:
        if role not in ROLES:
            raise InvalidInput(f"there is no role {role!r}; roles are {', '.join(ROLES)}")
        for acl in ROLES[role]:
            needed.setdefault((acl.resource, acl.name, acl.prefixed), {}).update(
                dict.fromkeys(acl.operations)
            )
    return [
        Acl(resource, name, tuple(sorted(operations)), prefixed)
        for (resource, name, prefixed), operations in needed.items()
    ]


def kafka_acls_line(acl: Acl, principal: str, bootstrap_servers: str, command_config: str | None) -> str:
    """The command of Kafka's own tool that grants it."""
    words = ["kafka-acls.sh", "--bootstrap-server", bootstrap_servers]
    words += ["--command-config", command_config] if command_config else []
    words += ["--add", "--allow-principal", principal]
    for operation in acl.operations:
        words += ["--operation", operation]
    words += ["--cluster"] if acl.resource == "cluster" else [f"--{acl.resource}", acl.name]
    words += ["--resource-pattern-type", "prefixed"] if acl.prefixed else []
    return shlex.join(words)


def strimzi_user(name: str, acls: Iterable[Acl], cluster: str) -> str:
    """A KafkaUser of the Strimzi operator with these rights, as YAML."""
    lines = [
        "apiVersion: kafka.strimzi.io/v1",
        "kind: KafkaUser",
        "metadata:",
        f"  name: {name}",
        "  labels:",
        f"    strimzi.io/cluster: {cluster}",
        "spec:",
        "  authentication:",
        "    type: scram-sha-512",
        "  authorization:",
        "    type: simple",
        "    acls:",
    ]
    for acl in acls:
        pattern = "prefix" if acl.prefixed else "literal"
        named = "" if acl.resource == "cluster" else f", name: {acl.name}, patternType: {pattern}"
        lines += [
            f"      - resource: {{type: {acl.resource}{named}}}",
            f"        operations: [{', '.join(acl.operations)}]",
        ]
    return "\n".join(lines) + "\n"
