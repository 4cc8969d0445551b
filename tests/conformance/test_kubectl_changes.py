"""What people type to change things and to look around: the real kubectl against both servers."""

from __future__ import annotations

import yaml

from tests.conformance.api import Api, Kubectl, as_yaml, rows
from tests.conformance.manifests import GROUP, pod, widget


async def test_patch_label_and_annotate(api: Api, kubectl: Kubectl) -> None:
    (await api.post(api.path("widgets", group=GROUP), widget())).ok()
    kubectl("patch", "widget", "w", "--type=merge", "-p", '{"spec":{"size":6}}')
    kubectl("patch", "widget", "w", "--type=json", "-p", '[{"op":"replace","path":"/spec/size","value":7}]')
    kubectl("patch", "widget", "w", "--type=merge", "--subresource=status", "-p", '{"status":{"phase":"x"}}')
    kubectl("label", "widget", "w", "a=b")
    kubectl("annotate", "widget", "w", "operator.kairos.io/paused=true")
    found = (await api.get(api.path("widgets", "w", group=GROUP))).ok()
    assert (found["spec"]["size"], found["status"]["phase"]) == (7, "x")
    assert found["metadata"]["labels"] == {"a": "b"}
    kubectl("annotate", "widget", "w", "operator.kairos.io/paused-")
    assert "annotations" not in (await api.get(api.path("widgets", "w", group=GROUP))).ok()["metadata"]


async def test_cordon_and_taint_a_node(api: Api, kubectl: Kubectl) -> None:
    name = f"node-{api.space}"
    (await api.post("/api/v1/nodes", {"metadata": {"name": name}})).ok()
    kubectl("cordon", name)
    assert (await api.get(f"/api/v1/nodes/{name}")).ok()["spec"]["unschedulable"] is True
    kubectl("uncordon", name)
    assert "unschedulable" not in (await api.get(f"/api/v1/nodes/{name}")).ok()["spec"]
    kubectl("label", "node", name, "kairos.io/managed=true")
    kubectl("taint", "node", name, "a=b:NoExecute")
    found = (await api.get(f"/api/v1/nodes/{name}")).ok()
    assert found["metadata"]["labels"]["kairos.io/managed"] == "true"
    assert {"key": "a", "value": "b", "effect": "NoExecute"} in found["spec"]["taints"]
    kubectl("delete", "node", name)


async def test_an_edit_of_an_old_copy_conflicts(api: Api, kubectl: Kubectl) -> None:
    (await api.post(api.path("widgets", group=GROUP), widget())).ok()
    copy = yaml.safe_load(kubectl("get", "widget", "w", "-o", "yaml").stdout)
    (await api.patch(api.path("widgets", "w", group=GROUP), {"spec": {"size": 6}})).ok()
    copy["spec"]["size"] = 7
    refused = kubectl("replace", "-f", "-", stdin=as_yaml(copy), check=False)
    assert "Error from server (Conflict)" in refused.stderr
    assert "the object has been modified; please apply your changes to the latest version" in refused.stderr


async def test_explain_and_api_resources(kubectl: Kubectl) -> None:
    said = kubectl("explain", "nodeopupgrade.spec.image").stdout
    assert "FIELD: image <string>" in said
    assert "drainOptions" in kubectl("explain", "nodeops.spec").stdout
    assert kubectl("explain", "widgets.spec.nothing", check=False).returncode == 1
    listed = rows(kubectl("api-resources", "--api-group=conformance.kairos.io", "--no-headers"))
    assert listed == [["widgets", "wd", GROUP, "true", "Widget"]]
    assert "batch/v1" in kubectl("api-versions").stdout.split()


async def test_who_may_do_what(kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "delete", "widgets").stdout.strip() == "yes"
    assert kubectl("version").stdout.count("v1.36") >= 1


async def test_a_token_for_a_service_account(api: Api, kubectl: Kubectl) -> None:
    token = kubectl("create", "token", "default").stdout.strip()
    review = {"spec": {"token": token}}
    found = (await api.post("/apis/authentication.k8s.io/v1/tokenreviews", review)).ok()
    assert found["status"]["authenticated"] is True
    stranger = (await api.post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "x"}})).ok()
    assert not stranger["status"].get("authenticated")


async def test_drain_evicts(api: Api, kubectl: Kubectl) -> None:
    name = f"node-{api.space}"
    (await api.post("/api/v1/nodes", {"metadata": {"name": name}})).ok()
    (await api.post(api.path("pods"), pod(node=name))).ok()
    done = kubectl("drain", name, "--force", "--timeout=2s", "--grace-period=5", check=False)
    assert f"evicting pod {api.space}/p" in done.stdout
    metadata = (await api.get(api.path("pods", "p"))).ok()["metadata"]
    assert metadata["deletionGracePeriodSeconds"] == 5
    kubectl("delete", "pod", "p", "--force", "--grace-period=0")
    assert "drained" in kubectl("drain", name, "--force").stdout
    kubectl("delete", "node", name)


async def test_create_by_name(api: Api, kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "made", "--from-literal=a=1")
    assert (await api.get(api.path("configmaps", "made"))).ok()["data"] == {"a": "1"}
    kubectl("create", "secret", "generic", "made", "--from-literal=a=1")
    assert (await api.get(api.path("secrets", "made"))).ok()["data"] == {"a": "MQ=="}
    kubectl("create", "serviceaccount", "made")
    assert (await api.get(api.path("serviceaccounts", "made"))).code == 200
