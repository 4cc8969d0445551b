"""What the manifests say twice, or say of the code, is the same in both places."""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from kairos_operator import __version__
from kairos_operator.labeler.settings import settings_from as labeler_settings
from kairos_operator.settings import LEASE_NAME, Settings, add_run_flags
from tests.config.installation import CONFIG, NAMESPACE, ROOT, rendered
from webhooks.certificates import Place
from webhooks.configurations import by_service, mutating_configuration, validating_configuration

OVERLAYS = ["default", *(f"overlays/{path.name}" for path in sorted((CONFIG / "overlays").iterdir()))]


@pytest.fixture(scope="module")
def kubectl(control_plane_assets: Path) -> Path:
    """A kubectl, which has kustomize in it."""
    return control_plane_assets / "kubectl"


def documents(path: str) -> list[dict[str, Any]]:
    """The documents of one file below config/."""
    return list(yaml.safe_load_all((CONFIG / path).read_text()))


def one(manifests: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    """The manifest of that kind and name."""
    (found,) = (it for it in manifests if (it["kind"], it["metadata"]["name"]) == (kind, name))
    return found


def container(manifest: dict[str, Any]) -> dict[str, Any]:
    """The one container of a workload."""
    (found,) = manifest["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_the_webhooks_are_what_the_code_serves() -> None:
    place = Place(NAMESPACE)
    client = by_service(place.service, NAMESPACE)
    wanted = [
        mutating_configuration(place.mutating[0], client),
        validating_configuration(place.validating[0], client),
    ]
    found = documents("webhook/manifests.yaml")
    for manifest in found:
        del manifest["metadata"]["labels"]
    assert found == wanted
    service = documents("webhook/service.yaml")[0]
    assert (service["metadata"]["name"], service["metadata"]["namespace"]) == (place.service, NAMESPACE)


def test_the_roles_name_what_the_code_uses() -> None:
    place = Place(NAMESPACE)
    named = {
        name
        for file in ("rbac/leader_election_role.yaml", "webhook/certificate_role.yaml")
        for manifest in documents(file)
        for rule in manifest.get("rules", ())
        for name in rule.get("resourceNames", ())
    }
    assert named == {LEASE_NAME, place.secret, *place.mutating, *place.validating}


def test_the_arguments_and_environment_are_understood(tmp_path: Path) -> None:
    deployment = documents("manager/manager.yaml")[0]
    given = container(deployment)
    assert given["args"][0] == "run"
    parser = argparse.ArgumentParser()
    add_run_flags(parser)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.touch()
    environ = {each["name"]: each.get("value", "filled-in") for each in given["env"]}
    settings = Settings.from_args(
        parser.parse_args([*given["args"][1:], f"--kubeconfig={kubeconfig}"]), environ
    )
    ports = {port["name"]: port["containerPort"] for port in given["ports"]}
    assert settings.metrics_address is not None
    assert settings.health_address is not None
    served = (settings.webhook_port, settings.health_address.port, settings.metrics_address.port)
    assert served == (ports["webhook"], ports["probes"], ports["metrics"])
    assert settings.leader_elect
    assert {settings.pod_name, settings.pod_uid, settings.namespace} == {"filled-in"}
    assert settings.operator_image == given["image"]


def test_the_labeler_finds_what_is_mounted() -> None:
    given = container(documents("labeler/daemonset.yaml")[0])
    environ = {each["name"]: each.get("value", "filled-in") for each in given["env"]}
    settings = labeler_settings(environ | {"KUBERNETES_SERVICE_HOST": "10.0.0.1"})
    (mount,) = given["volumeMounts"]
    assert (mount["mountPath"], mount["readOnly"]) == (str(settings.host / "etc"), True)


def test_the_image_is_of_this_version() -> None:
    images = {
        container(documents(path)[0])["image"] for path in ("manager/manager.yaml", "labeler/daemonset.yaml")
    }
    assert images == {f"quay.io/kairos/operator-py:v{__version__}"}


@pytest.mark.realcluster
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_overlay_is_whole(kubectl: Path, overlay: str) -> None:
    manifests = rendered(kubectl, overlay)
    deployment = one(manifests, "Deployment", "kairos-operator")
    env = {each["name"]: each.get("value") for each in container(deployment)["env"]}
    assert env["OPERATOR_IMAGE"] == container(deployment)["image"]
    assert (
        container(one(manifests, "DaemonSet", "kairos-node-labeler"))["image"]
        == container(deployment)["image"]
    )
    home = deployment["metadata"]["namespace"]
    hooks = [hook for manifest in manifests for hook in manifest.get("webhooks", ())]
    assert {hook["clientConfig"]["service"]["namespace"] for hook in hooks} == {home}
    spaces = {manifest["metadata"]["name"] for manifest in manifests if manifest["kind"] == "Namespace"}
    used = {
        manifest["metadata"]["namespace"] for manifest in manifests if "namespace" in manifest["metadata"]
    }
    used |= {each["namespace"] for manifest in manifests for each in manifest.get("subjects") or ()}
    assert used == spaces


@pytest.mark.realcluster
def test_with_cert_manager_the_operator_has_no_right_to_secrets_or_webhooks(kubectl: Path) -> None:
    manifests = rendered(kubectl, "overlays/cert-manager")
    resources = {
        resource
        for manifest in manifests
        if manifest["kind"] in ("Role", "ClusterRole")
        for rule in manifest["rules"]
        for resource in rule.get("resources", ())
    }
    assert not {each for each in resources if "secret" in each or "webhook" in each}
    deployment = one(manifests, "Deployment", "kairos-operator")
    (flag,) = (arg for arg in container(deployment)["args"] if arg.startswith("--webhook-cert-dir="))
    assert flag.partition("=")[2] in {mount["mountPath"] for mount in container(deployment)["volumeMounts"]}
    certificate = one(manifests, "Certificate", "kairos-operator-webhook")
    assert certificate["spec"]["dnsNames"] == list(Place(NAMESPACE).names)
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    assert certificate["spec"]["secretName"] in {each.get("secret", {}).get("secretName") for each in volumes}


@pytest.mark.realcluster
def test_the_components_combine_with_other_namespaces(kubectl: Path, tmp_path: Path) -> None:
    """As `docs/install.md` says."""
    config = tmp_path / "config"
    shutil.copytree(CONFIG, config)
    shutil.copytree(ROOT / "crds", tmp_path / "crds")
    for part, components in (
        ("operator", "[../../../certmanager, ../../../prometheus, ../../../network-policy/operator]"),
        ("labeler", "[../../../network-policy/labeler]"),
        (".", "[../../certmanager/names]"),
    ):
        assert f"components: {components}" in (ROOT / "docs" / "install.md").read_text()
        with (config / "overlays" / "namespace" / part / "kustomization.yaml").open("a") as file:
            file.write(f"components: {components}\n")
    manifests = rendered(kubectl, str(config / "overlays" / "namespace"))
    home = one(manifests, "Deployment", "kairos-operator")["metadata"]["namespace"]
    assert home != NAMESPACE
    certificate = one(manifests, "Certificate", "kairos-operator-webhook")
    assert certificate["spec"]["dnsNames"] == list(Place(home).names)
    assert certificate["metadata"]["namespace"] == home
    injected = {
        it["metadata"]["annotations"]["cert-manager.io/inject-ca-from"]
        for it in manifests
        if it["kind"].endswith("WebhookConfiguration")
    }
    assert injected == {f"{home}/kairos-operator-webhook"}
    labelers = one(manifests, "DaemonSet", "kairos-node-labeler")["metadata"]["namespace"]
    policies = {it["metadata"]["namespace"] for it in manifests if it["kind"] == "NetworkPolicy"}
    assert policies == {home, labelers}
    assert {
        it["metadata"]["namespace"]
        for it in manifests
        if it["kind"] != "Namespace" and "namespace" in it["metadata"]
    } == policies


def test_with_cert_manager_a_renewal_changes_no_trust() -> None:
    """What is trusted is a CA that lasts, so reviews go on however late the mounted Secret follows."""
    manifests = documents("certmanager/certificate.yaml")
    leaf = one(manifests, "Certificate", "kairos-operator-webhook")["spec"]
    issuer = one(manifests, "Issuer", leaf["issuerRef"]["name"])["spec"]
    (ca,) = (it["spec"] for it in manifests if it["spec"].get("secretName") == issuer["ca"]["secretName"])
    assert ca["isCA"]
    assert ca["commonName"], "an issuer without a name issues nothing"
    assert ca["privateKey"]["rotationPolicy"] == "Never", "its own renewal keeps the key"
    assert one(manifests, "Issuer", ca["issuerRef"]["name"])["spec"] == {"selfSigned": {}}
    assert int(ca["duration"].removesuffix("h")) >= 10 * 365 * 24
    assert leaf["privateKey"]["rotationPolicy"] == "Always"
    patch = documents("certmanager/kustomization.yaml")[0]["patches"][0]["patch"]
    assert patch.endswith(" kairos-operator-system/kairos-operator-webhook"), (
        "the injector takes that one's ca.crt"
    )


@pytest.mark.realcluster
def test_one_replica_stays_on_a_node_that_is_being_upgraded(kubectl: Path) -> None:
    deployment = one(rendered(kubectl, "overlays/single-node"), "Deployment", "kairos-operator")
    assert deployment["spec"]["replicas"] == 1
    tolerated = {each["key"] for each in deployment["spec"]["template"]["spec"]["tolerations"]}
    assert {
        f"node.kubernetes.io/{state}" for state in ("unschedulable", "not-ready", "unreachable")
    } < tolerated


def test_the_docs_explain_every_rule() -> None:
    said = (ROOT / "docs" / "security.md").read_text()
    files = (
        "rbac/role.yaml",
        "rbac/leader_election_role.yaml",
        "webhook/certificate_role.yaml",
        "labeler/rbac.yaml",
    )
    resources = {
        resource
        for file in files
        for manifest in documents(file)
        for rule in manifest.get("rules", ())
        for resource in rule["resources"]
    }
    assert [each for each in sorted(resources) if not re.search(rf"`{re.escape(each)}`", said)] == []
