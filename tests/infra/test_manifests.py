"""The files of infra/, as far as they can be checked without a container engine: schemas, names, pins, and the code that they speak of."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import promql_parser as promql
import pytest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML
from typer.testing import CliRunner

from memfold.infra.acls import ROLES, acls_of
from memfold.providers.breaker import BreakerState
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import MemoriesDecided, ModelCall, Operation, Scope
from memfold.serve.cli_whole import app
from memfold.serve.metering import Metering
from memfold.serve.metrics import Standing, exposition
from memfold.serve.scrubbed import Scrubbed, ScrubbedShard
from memfold.serve.sealed import Sealed
from memfold.serve.settings import Settings, settings_from
from memfold.serve.verified import Verified

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"


def documents(name: str) -> list[dict[str, Any]]:
    return [each for each in YAML(typ="safe").load_all(INFRA / name) if each]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((INFRA / "grafana-dashboard.json").read_text())
    return found


def rules() -> list[dict[str, Any]]:
    (alerts,) = documents("prometheus-alerts.yml")
    return [rule for group in alerts["groups"] for rule in group["rules"]]


def expressions() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def asked(expression: str) -> list[promql.VectorSelector]:
    """Every series that it looks at."""
    found: list[promql.VectorSelector] = []

    def visit(each: promql.Expr) -> bool:
        if isinstance(each, promql.MatrixSelector):
            found.append(each.vector_selector)
        elif isinstance(each, promql.VectorSelector):
            found.append(each)
        return True

    promql.walk(promql.parse(expression), visit)
    return found


def served() -> dict[str, set[str]]:
    """{sample: labels} of everything that a worker can serve."""
    metering = Metering()
    add = Operation("ADD", "id", 1, "tea", Scope(user_id="u"))
    metering.decided(
        MemoriesDecided("decided", operations=[add], calls=[ModelCall("extract", "openai", "m")])
    )
    standing = Standing(
        positions={"vector": {(EVENTS, 0): 4}},
        ends={(EVENTS, 0): 10},
        quarantined={"vector": 2},
        breakers=[BreakerState("https://models", "open", 5)],
        pending=7,
        missed_reads=1,
        sealed=Sealed(0.0, {(EVENTS, 0): 2}),
        verified=Verified(0.0, 5, 5, 0),
        scrubbed=Scrubbed([ScrubbedShard("vector", 0, 4, 4, whole_at=0.0)], slices=4),
        now=0.0,
    )
    text = exposition(standing, metering.registry).decode()
    return {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_series_of_a_panel_or_an_alert_exists_with_its_labels(where: str, expression: str) -> None:
    known = served() | {"up": set()}
    selected = asked(expression)
    assert selected, where
    for each in selected:
        assert each.name in known, f"{where}: no worker serves {each.name}"
        given = {matcher.name for matcher in each.matchers.matchers} - {"job", "instance"}
        assert given <= known[each.name], f"{where}: {each.name} has no {given - known[each.name]}"


def test_every_label_of_a_legend_or_a_text_is_one_that_is_left() -> None:
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            told = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            grouped = {
                label
                for found in re.findall(r"by \(([^)]*)\)", target["expr"])
                for label in found.split(", ")
            }
            assert told <= grouped | {"instance"}, panel["title"]


def test_the_dashboard_shows_every_metric() -> None:
    shown = {each.name for _, expression in expressions() for each in asked(expression)}
    families = {re.sub("_(bucket|sum|count)$", "", name or "") for name in shown}
    own = {
        re.sub("_(bucket|sum|count|created)$", "", name) for name in served() if name.startswith("memfold_")
    }
    assert own - families <= {"memfold_commands_decided", "memfold_operations", "memfold_model_tokens"}


def test_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_every_alert_says_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["do"].endswith(".")


def test_compose_is_what_its_schema_says() -> None:
    checked = subprocess.run(
        [
            sys.executable,
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            INFRA / "compose.yaml",
        ],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout


def test_what_compose_names_is_there() -> None:
    (compose,) = documents("compose.yaml")
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (INFRA / source).is_file(), f"{name}: {source}"
        for other in service.get("depends_on", []):
            assert other in compose["services"], f"{name}: {other}"
    workers = {
        name for name, service in compose["services"].items() if service.get("command", [""])[0] == "worker"
    }
    (prometheus,) = documents("prometheus.yml")
    (job,) = prometheus["scrape_configs"]
    assert set(job["static_configs"][0]["targets"]) == {f"{name}:9464" for name in workers}
    assert prometheus["rule_files"] == ["prometheus-alerts.yml"]


def environments() -> Iterator[tuple[str, dict[str, str]]]:
    """The environment of every memfold process that the files start."""
    (compose,) = documents("compose.yaml")
    for name, service in compose["services"].items():
        if service["image"].startswith("memfold:"):
            yield f"compose {name}", {key: str(value) for key, value in service["environment"].items()}
    found = {each["kind"]: each for each in documents("kubernetes.yaml")}
    shared = found["ConfigMap"]["data"]
    pod = found["Deployment"]["spec"]["template"]["spec"]
    for container in [*pod["initContainers"], *pod["containers"]]:
        yield (
            f"kubernetes {container['name']}",
            shared | {each["name"]: each.get("value", "") for each in container["env"]},
        )


@pytest.mark.parametrize(("where", "environment"), list(environments()))
def test_every_variable_is_a_setting_that_memfold_takes(
    where: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    filled = {
        "KEY": "A" * 43 + "=",
        "VIEW__TOKEN": "t" * 40,
        "SASL_PASSWORD": "secret",
        "VIEW__ADVERTISED": "10.0.0.1",
        "PARTITIONS": "12",
    }
    given = {name.removeprefix("MEMFOLD_"): value for name, value in environment.items()}
    for name in given:
        first, _, inner = name.lower().partition("__")
        field = Settings.model_fields[first]
        assert not inner or inner in field.annotation.model_fields, f"{where}: {name}"  # type: ignore[union-attr]
    for name, value in given.items():
        monkeypatch.setenv(f"MEMFOLD_{name}", filled.get(name, value))
    settings = settings_from()
    assert (settings.replication, settings.min_insync) == (3, 2)
    settings.connection(settings.bootstrap_servers or "")


@pytest.mark.parametrize("version", ["1.33", "1.37"])
def test_kubernetes_takes_the_manifests(version: str) -> None:
    own = [each for each in documents("kubernetes.yaml") if "strimzi" not in each["apiVersion"]]
    assert len(own) >= 5
    for each in own:
        kubernetes_validate.validate(each, version, strict=True)


def test_what_kubernetes_names_is_there() -> None:
    found = {(each["kind"], each["metadata"]["name"]): each for each in documents("kubernetes.yaml")}
    users = {each["metadata"]["name"] for each in documents("kubernetes-users.yaml")}
    pod = found["Deployment", "memfold-workers"]["spec"]["template"]["spec"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert pod["securityContext"]["runAsNonRoot"]
    for container in [*pod["initContainers"], *pod["containers"]]:
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
        (user,) = [each["value"] for each in container["env"] if each["name"] == "MEMFOLD_SASL_USERNAME"]
        assert user in users
        (secret,) = [each for each in container["env"] if each["name"] == "MEMFOLD_SASL_PASSWORD"]
        assert secret["valueFrom"]["secretKeyRef"]["name"] == user
    ports = [port["containerPort"] for container in pod["containers"] for port in container["ports"]]
    assert len(set(ports)) == len(ports)
    allowed = found["NetworkPolicy", "memfold-workers"]["spec"]["ingress"]
    ranges = [range(each["port"], each["endPort"] + 1) for rule in allowed for each in rule["ports"]]
    assert all(any(port in each for each in ranges) for port in ports)
    assert ("PersistentVolumeClaim", "memfold-home") in found


def test_the_users_have_the_rights_of_the_list() -> None:
    printed = CliRunner().invoke(app, ["infra", "acls", "--strimzi", "memfold"]).stdout
    text = (INFRA / "kubernetes-users.yaml").read_text()
    assert text.partition("\n")[2] == printed, "write it anew: its first line says how"
    by_name = {each["metadata"]["name"]: each for each in YAML(typ="safe").load_all(printed)}
    assert set(by_name) == {f"memfold-{role}" for role in ROLES}
    for role in ROLES:
        found = by_name[f"memfold-{role}"]["spec"]["authorization"]["acls"]
        assert [each["operations"] for each in found] == [list(acl.operations) for acl in acls_of([role])]


def test_every_image_is_pinned_by_version() -> None:
    text = "".join((INFRA / name).read_text() for name in ("compose.yaml", "kubernetes.yaml"))
    images = re.findall(r"image: (\S+)", text) + re.findall(
        r"^FROM (\S+)", (INFRA / "Dockerfile").read_text(), re.M
    )
    assert len(images) > 8
    assert all(re.search(r":v?\d+\.\d+", image) for image in images), images


def test_the_image_gets_every_room_and_runs_as_nobody_in_particular() -> None:
    dockerfile = (INFRA / "Dockerfile").read_text()
    allowed = (INFRA / "Dockerfile.dockerignore").read_text().splitlines()
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert {f"COPY {room} {room}" for room in rooms} <= set(dockerfile.splitlines())
    assert {f"!{room}" for room in rooms} <= set(allowed)
    last = dockerfile.rpartition("FROM ")[2]
    assert "USER 10001:10001" in last
    assert "pip install" not in last
