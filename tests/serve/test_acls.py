"""A Kafka that asks who comes: with the rights of `memfold infra acls` every role works, without one it is refused."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)
from typer.testing import CliRunner

from memfold import AsyncMemory
from memfold.audit.seal_files import SealFiles
from memfold.infra.acls import ROLES, Acl, acls_of
from memfold.memory.errors import InvalidInput, NotAuthorized, NotWritten, RestoreRefused
from memfold.schemas.partitions import COMMANDS, EVENTS, QUARANTINE
from memfold.serve.cli_whole import app
from memfold.serve.embedded import environment_of
from memfold.serve.parts import Parts
from memfold.serve.settings import Settings, settings_from
from memfold.serve.worker import Worker
from memfold.streams.connection import Connection
from memfold.streams.members import followers
from memfold.streams.reader import LogReader
from memfold.streams.topics import TopicPlan, ensure_topics
from memfold.streams.vacant import check_vacant
from memfold.streams.writer import LogWriter
from tests.infra.kafka_cluster import Cluster, running_cluster

WORKERS = ("decide", "vector", "graph", "archive", "seal")
SETTINGS = {
    "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
    "sasl.enabled.mechanisms": "SCRAM-SHA-256",
    "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-256",
    "listener.name.client.scram-sha-256.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule "
    'required username="admin" password="of admin";',
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:admin;User:ANONYMOUS",
}


def credentials(name: str) -> dict[str, str]:
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_username": name,
        "sasl_password": f"of {name}",
    }


def of(cluster: Cluster, role: str) -> Connection:
    return Connection(bootstrap_servers=cluster.bootstrap, **credentials(f"memfold-{role}"))  # type: ignore[arg-type]


def bindings(role: str, acls: list[Acl]) -> list[AclBinding]:
    return [
        AclBinding(
            ResourceType[{"cluster": "BROKER"}.get(acl.resource, acl.resource.upper())],
            acl.name,
            ResourcePatternType.PREFIXED if acl.prefixed else ResourcePatternType.LITERAL,
            f"User:memfold-{role}",
            "*",
            AclOperation[
                {"DescribeConfigs": "DESCRIBE_CONFIGS", "AlterConfigs": "ALTER_CONFIGS"}.get(o, o.upper())
            ],
            AclPermissionType.ALLOW,
        )
        for acl in acls
        for o in acl.operations
    ]


def filter_of(binding: AclBinding) -> AclBindingFilter:
    parts: Any = binding
    return AclBindingFilter(
        parts.restype,
        parts.name,
        parts.resource_pattern_type,
        parts.principal,
        parts.host,
        parts.operation,
        parts.permission_type,
    )


def wait_known(cluster: Cluster, changed: list[AclBinding], there: bool) -> None:
    """The controller has agreed; the broker learns of it a moment later."""
    deadline = time.monotonic() + 20
    for binding in changed:
        while bool(cluster.admin().describe_acls(filter_of(binding)).result()) != there:
            assert time.monotonic() < deadline, f"{binding} was not taken in"


def grant(cluster: Cluster, role: str, acls: list[Acl] | None = None) -> None:
    changed = bindings(role, acls_of([role]) if acls is None else acls)
    for future in cluster.admin().create_acls(changed).values():
        future.result()
    wait_known(cluster, changed, True)


def revoke(cluster: Cluster, role: str, acls: list[Acl]) -> None:
    changed = bindings(role, acls)
    for future in cluster.admin().delete_acls([filter_of(binding) for binding in changed]).values():
        future.result()
    wait_known(cluster, changed, False)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One broker; every role is known, and only `setup` is allowed anything."""
    names = ["admin", *(f"memfold-{role}" for role in (*ROLES, "nobody"))]
    users = [
        word for name in names for word in ("--add-scram", f"SCRAM-SHA-256=[name={name},password=of {name}]")
    ]
    clients = {name.replace("_", "."): value for name, value in credentials("admin").items()}
    folder = tmp_path_factory.mktemp("guarded")
    with running_cluster(folder / "kafka", 1, SETTINGS, clients, users) as cluster:
        grant(cluster, "setup")
        ensure_topics(of(cluster, "setup"), TopicPlan(partitions=2), ["setup"])
        yield cluster


def test_a_role_without_rights_is_refused_in_full(guarded: Cluster) -> None:
    for role in (*WORKERS, "caller", "mirror", "rebuild", "restore"):
        with pytest.raises(NotAuthorized) as refused:
            ensure_topics(of(guarded, role), TopicPlan(), [role])
        told = str(refused.value)
        assert f"does not let User:memfold-{role} work as {role}" in told
        assert f"memfold infra acls {role} --principal User:memfold-{role}" in told
        for acl in acls_of([role]):
            for operation in acl.operations:
                assert acl.prefixed or f"{operation} on {acl.resource} {acl.name}" in told


@pytest.mark.parametrize("role", ["decide", "caller"])
def test_each_right_that_is_missing_is_named(guarded: Cluster, role: str) -> None:
    grant(guarded, role)
    ensure_topics(of(guarded, role), TopicPlan(), [role])
    for acl in acls_of([role]):
        for operation in set(acl.operations) - {"Describe"}:  # Kafka takes Read for Describe
            one = [Acl(acl.resource, acl.name, (operation,))]
            revoke(guarded, role, one)
            with pytest.raises(
                NotAuthorized, match=f"it lacks {operation} on {acl.resource} {acl.name}. Grant"
            ):
                ensure_topics(of(guarded, role), TopicPlan(), [role])
            grant(guarded, role, one)
    ensure_topics(of(guarded, role), TopicPlan(), [role])


async def test_no_role_may_do_anothers_work(guarded: Cluster) -> None:
    for role in ("vector", "seal"):
        grant(guarded, role)
    writer, reader = LogWriter(of(guarded, "vector")), LogReader(of(guarded, "seal"))
    try:
        with pytest.raises(NotWritten, match=f"{EVENTS}/0 refused a record"):
            await writer.append(EVENTS, 0, [(b"k", b"forged")])
        await writer.append(QUARANTINE, 0, [(b"k", b"{}\nput aside")])
        with pytest.raises(NotAuthorized, match="User:memfold-seal"):
            list(reader.read(COMMANDS, 0, 0, 1))
    finally:
        writer.close()
        reader.close()


def test_who_repartitions_sees_the_groups_of_workers_and_may_fill_another_cluster(guarded: Cluster) -> None:
    with pytest.raises(NotAuthorized, match="does not allow User:memfold-repartition"):
        followers(of(guarded, "repartition"))
    grant(guarded, "repartition")
    assert followers(of(guarded, "repartition"), patience=12) == []
    assert ensure_topics(of(guarded, "repartition"), TopicPlan(), ["repartition"]) == 2
    with pytest.raises(NotAuthorized, match="work as restore: it lacks"):
        check_vacant(of(guarded, "restore"), TopicPlan(partitions=8))
    grant(guarded, "restore")
    with pytest.raises(RestoreRefused, match=f"{COMMANDS} has 2 partitions, not 8"):
        check_vacant(of(guarded, "restore"), TopicPlan(partitions=8))


def settings_of(role: str, cluster: Cluster, home: Path) -> Settings:
    return settings_from(
        home=home,
        bootstrap_servers=cluster.bootstrap,
        audit={"reads": "strict"},
        patience=60,
        **credentials(f"memfold-{role}"),
    )


def test_a_worker_process_says_what_it_lacks_and_ends(guarded: Cluster, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "memfold.serve.cli", "worker", "graph"],
        env={**os.environ, **environment_of(settings_of("nobody", guarded, tmp_path))},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 1
    told = " ".join(ended.stderr.split())
    assert "error: NotAuthorized: " in told
    assert "User:memfold-nobody work as graph: it lacks Describe on topic memfold." in told
    assert "Traceback" not in told


async def test_with_its_rights_every_role_works(guarded: Cluster, tmp_path: Path) -> None:
    """Five workers and a caller, each as somebody else, over one home."""
    async with AsyncExitStack() as running:
        for role in WORKERS:
            grant(guarded, role)
            parts = await asyncio.to_thread(
                Parts.open, settings_of(role, guarded, tmp_path), guarded.bootstrap, [role]
            )
            running.push_async_callback(parts.close)
            worker = Worker(parts, [role])
            running.push_async_callback(worker.stop)
            await worker.start()
        grant(guarded, "caller")
        given = settings_of("caller", guarded, tmp_path).model_dump(exclude_unset=True)
        memory = await running.enter_async_context(AsyncMemory(**given))
        added = await memory.add("Sarah works at Google", user_id="sarah")
        found: dict[str, Any] = await memory.search("Where does Sarah work?", user_id="sarah")
        assert found["results"][0]["memory"] == "Sarah works at Google"
        assert found["relations"]
        assert len(await memory.history(added["results"][0]["id"])) == 1
        async with asyncio.timeout(60):
            while not SealFiles(tmp_path / "seals").trees():  # noqa: ASYNC110 - the sealer is told of nothing
                await asyncio.sleep(0.1)


def test_the_list_is_what_kafkas_own_tool_takes() -> None:
    printed = CliRunner().invoke(
        app, ["infra", "acls", "decide", "seal", "--bootstrap-servers", "kafka:9092"]
    )
    lines = [shlex.split(line) for line in printed.stdout.splitlines() if not line.startswith("#")]
    assert printed.exit_code == 0
    assert all(line[:4] == ["kafka-acls.sh", "--bootstrap-server", "kafka:9092", "--add"] for line in lines)
    assert [line[-2:] for line in lines if "User:memfold-seal" in line][-1] == ["--group", "memfold-reader"]
    as_json = CliRunner().invoke(app, ["infra", "acls", "decide", "seal", "--json"])
    assert len(json.loads(as_json.stdout)) == len(lines)
    together = CliRunner().invoke(app, ["infra", "acls", "mirror", "seal", "--principal", "User:CN=a b"])
    assert "--allow-principal 'User:CN=a b'" in together.stdout
    assert "--group memfold-mirror- --resource-pattern-type prefixed" in together.stdout
    with pytest.raises(InvalidInput, match="roles are setup, decide"):
        acls_of(["decider"])
