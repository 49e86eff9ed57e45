"""deploy/kubernetes: every document is what Kubernetes takes, and asks of Omnibus what Omnibus has.

Judged by the schemas of the Kubernetes API (https://kubernetes.io/docs/reference/kubernetes-api/), as the package
kubernetes-validate carries them; unknown fields count as errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from omnibus.cli.settings import configuration
from omnibus.cli.topics import topics
from omnibus.cli.up import STAGES, run

FILES = sorted((Path(__file__).parents[2] / "deploy" / "kubernetes").glob("*.yaml"))
DOCUMENTS: list[dict[str, Any]] = [one for file in FILES for one in yaml.safe_load_all(file.read_text("utf-8"))]
ENV = {
    name: f"invented-{name}-0123456789abcdef" for name in ("OMNIBUS_API_TOKEN", "OMNIBUS_CHAT_SECRET", "KAFKA_PASSWORD")
}
GRACE_S = 25


def name_of(document: dict[str, Any]) -> str:
    return f"{document['kind']} {document['metadata']['name']}"


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [document for document in DOCUMENTS if document["kind"] in kinds]


def pods() -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Every workload with what its pods and their one container are."""
    for document in of_kind("Deployment", "StatefulSet", "Job"):
        pod = document["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        yield document, pod, container


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
def test_a_document_is_what_kubernetes_takes(document: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_a_mistake_would_be_found() -> None:
    (wrong,) = [document for document in of_kind("Deployment") if document["metadata"]["name"] == "omnibus-sinks"]
    wrong = {**wrong, "spec": {**wrong["spec"], "replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


def test_every_stage_is_a_workload_whose_command_line_there_is() -> None:
    commands = {container["args"][1]: container["args"] for _, _, container in pods() if container["args"][0] == "run"}
    assert set(commands) == set(STAGES)
    for args in commands.values():
        run.make_context("run", list(args[1:]))  # raises when the command line does not know an option
    (job,) = [container for document, _, container in pods() if document["kind"] == "Job"]
    assert job["args"][:2] == ["topics", "apply"]
    topics.commands["apply"].make_context("apply", list(job["args"][2:]))


def test_workloads_select_their_own_pods_and_services_find_them() -> None:
    labels = []
    for document, _, _ in pods():
        if document["kind"] != "Job":
            own = document["spec"]["template"]["metadata"]["labels"]
            labels.append(own)
            assert document["spec"]["selector"]["matchLabels"] == own
    services = {service["metadata"]["name"]: service["spec"] for service in of_kind("Service")}
    for service in services.values():
        assert service["selector"] in labels
    for document in of_kind("StatefulSet"):
        assert services[document["spec"]["serviceName"]]["clusterIP"] == "None"


def test_what_is_mounted_is_there_and_every_stage_may_keep_state() -> None:
    for document, pod, container in pods():
        claims = document["spec"].get("volumeClaimTemplates", [])
        there = {volume["name"] for volume in pod["volumes"]} | {claim["metadata"]["name"] for claim in claims}
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert set(mounts.values()) <= there, name_of(document)
        if document["kind"] != "Job":
            assert mounts["/state"] == "state", name_of(document)
            assert pod["securityContext"]["fsGroup"] == 10001, "the image's user may write there"


def test_a_stage_is_asked_whether_it_is_ready_and_gets_the_time_to_drain() -> None:
    for document, pod, container in pods():
        if document["kind"] != "Job":
            assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
            assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
            ports = {port["name"] for port in container["ports"]}
            assert {container[probe]["httpGet"]["port"] for probe in ("readinessProbe", "livenessProbe")} <= ports
            assert pod["terminationGracePeriodSeconds"] > GRACE_S


def test_its_configuration_is_valid(tmp_path: Path) -> None:
    (config_map,) = of_kind("ConfigMap")
    file = tmp_path / "omnibus.yaml"
    file.write_text(config_map["data"]["omnibus.yaml"], "utf-8")
    config = configuration(file, env=ENV)
    assert config.kafka.state == Path("/state")
    assert config.drain.total_seconds() == GRACE_S
    replicas = [document["spec"]["replicas"] for document in of_kind("Deployment", "StatefulSet")]
    assert max(replicas) <= config.partitions
