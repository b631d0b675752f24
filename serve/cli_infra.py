"""`memfold infra`: what a cluster of your own has to be told."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict
from typing import Annotated

import typer

from memfold.infra.acls import ROLES, acls_of, kafka_acls_line, strimzi_user
from memfold.memory.errors import InvalidInput
from memfold.serve.cli_options import Bootstrap, Home, Json, console, print_json
from memfold.serve.moving_keys import MOVED, move_keys
from memfold.serve.partition_count import known_partitions
from memfold.serve.registering import registered, subjects
from memfold.serve.registry_settings import RegistrySettings
from memfold.serve.settings import settings_from
from memfold.streams.topics import ensure_topics

app = typer.Typer(no_args_is_help=True)


def register(whole: typer.Typer) -> None:
    whole.add_typer(app, name="infra", help="What a Kafka of your own has to be told: topics and rights.")


@app.command()
def acls(
    roles: Annotated[
        list[str] | None, typer.Argument(help=f"{', '.join(ROLES)}; each by itself if left out.")
    ] = None,
    principal: Annotated[
        str | None,
        typer.Option(
            "--principal", help="Whom to allow, for the roles together. Default: User:memfold-ROLE each."
        ),
    ] = None,
    command_config: Annotated[
        str | None,
        typer.Option(
            "--command-config", help="For kafka-acls.sh: a file with an administrator's credentials."
        ),
    ] = None,
    strimzi: Annotated[
        str | None,
        typer.Option("--strimzi", help="Print KafkaUsers of this cluster of the Strimzi operator instead."),
    ] = None,
    bootstrap_servers: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """The rights that each role needs on Kafka, as commands of kafka-acls.sh, KafkaUsers or JSON. Nothing is granted."""
    chosen = roles or list(ROLES)
    servers = bootstrap_servers or settings_from().bootstrap_servers or "localhost:9092"
    granted = (
        [(principal, acls_of(chosen))]
        if principal
        else [(f"User:memfold-{role}", acls_of([role])) for role in chosen]
    )
    if strimzi:
        users = [strimzi_user(who.removeprefix("User:"), needed, strimzi) for who, needed in granted]
        print("---\n".join(users), end="")
        return
    if as_json:
        print_json([{"principal": who} | asdict(acl) for who, needed in granted for acl in needed])
        return
    for who, needed in granted:
        print(f"# {who}: {', '.join(chosen) if principal else who.removeprefix('User:memfold-')}")
        for acl in needed:
            print(kafka_acls_line(acl, who, servers, command_config))


@app.command()
def topics(home: Home = None, bootstrap_servers: Bootstrap = None) -> None:
    """Make the topics that are missing on a Kafka of your own, and check the settings of all; as role setup."""
    settings = settings_from(home=home, bootstrap_servers=bootstrap_servers)
    servers = settings.bootstrap_servers
    if servers is None:
        raise InvalidInput(
            "the embedded Kafka makes its own topics; for another one name it: MEMFOLD_BOOTSTRAP_SERVERS or --bootstrap-servers"
        )
    plan = settings.topic_plan()
    partitions = ensure_topics(
        settings.connection(servers), plan, ["setup"], known_partitions(settings.folder)
    )
    console.print(
        f"{servers}: the topics are there, {partitions} partitions, and keep history; at least {plan.min_insync} brokers have a "
        "record before it counts as written",
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def schemas(
    register: Annotated[
        str | None,
        typer.Option("--register", help="Register them at this URL; credentials are MEMFOLD_REGISTRY_*."),
    ] = None,
    as_json: Json = False,
) -> None:
    """The subjects under which memfold's schemas stand at a schema registry (Confluent's API); with --register, put them there."""
    rows = []
    with RegistrySettings().registry(register) if register else nullcontext() as registry:
        ids = registered(registry) if registry else ((*one, None) for one in subjects())
        for subject, schema, schema_id in ids:
            rows.append({"subject": subject, "schema": f"{schema.name}.v{schema.version}", "id": schema_id})
            if not as_json:
                told = f"  id {schema_id}" if registry else ""
                print(f"{subject:<28} {schema.name}.v{schema.version}{told}")
    if as_json:
        print_json(rows)
    elif not register:
        console.print("nothing was registered: --register URL does it", highlight=False)


@app.command("move-keys")
def move(home: Home = None) -> None:
    """Take the home's key store to the PostgreSQL of MEMFOLD_KEY_STORE, where several machines share the home. Nothing may run."""
    settings = settings_from(home=home)
    count = move_keys(settings)
    console.print(
        f"{count} keys are in PostgreSQL now, and every process of this home needs MEMFOLD_KEY_STORE from here on. "
        f"{settings.folder / MOVED} is what they were: keep it until you have a backup of the database, then delete it, for who is "
        "erased later is still in it",
        highlight=False,
        soft_wrap=True,
    )
