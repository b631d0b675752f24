"""How the cluster that a repartitioning fills is named: by variables of its own, and nothing of the old one's."""

from __future__ import annotations

from pathlib import Path

import pytest

from memfold.memory.errors import InvalidInput
from memfold.serve.new_cluster import NewCluster
from memfold.serve.settings import settings_from

OLD = {
    "security_protocol": "SASL_SSL",
    "sasl_mechanism": "PLAIN",
    "sasl_username": "old",
    "sasl_password": "of the old",
    "ssl_ca_location": "/old/ca.pem",
}


def test_nothing_of_the_old_clusters_credentials_is_shown_to_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = settings_from(home=tmp_path / "old", bootstrap_servers="old:1", tenant="acme", **OLD)
    plain = NewCluster.configured("new:1").settings_of(old, tmp_path / "new", 16)
    assert (plain.folder, plain.partitions, plain.tenant) == (tmp_path / "new", 16, "acme")
    shown = plain.connection("new:1").librdkafka()
    assert shown["security.protocol"] == "PLAINTEXT"
    assert not [name for name in shown if name.startswith(("sasl.", "ssl.ca"))]
    for name, value in (("SECURITY_PROTOCOL", "SASL_PLAINTEXT"), ("SASL_MECHANISM", "SCRAM-SHA-512"),
                        ("SASL_USERNAME", "new"), ("SASL_PASSWORD", "of the new"), ("BOOTSTRAP_SERVERS", "new:2")):  # fmt: skip
        monkeypatch.setenv(f"MEMFOLD_INTO_{name}", value)
    named = NewCluster.configured(None).settings_of(old, tmp_path / "new", 16)
    assert named.bootstrap_servers == "new:2"
    shown = named.connection("new:2").librdkafka()
    assert (shown["sasl.username"], shown["sasl.password"]) == ("new", "of the new")
    assert "ssl.ca.location" not in shown


def test_half_of_a_name_is_refused_with_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMFOLD_INTO_SECURITY_PROTOCOL", "SASL_SSL")
    with pytest.raises(
        InvalidInput, match=r"the new cluster: .* needs sasl_mechanism\. Set it as MEMFOLD_INTO_"
    ):
        NewCluster.configured("new:1")
