"""What people type: the real kubectl against both servers."""

from __future__ import annotations

import asyncio
import json
import re

import yaml

from tests.conformance.api import PATIENCE, Api, Kubectl, as_yaml, rows
from tests.conformance.manifests import GROUP, config_map, job, pod, widget


async def test_create_with_generate_name_twice(api: Api, kubectl: Kubectl) -> None:
    body = {**widget(), "metadata": {"generateName": "w-"}}
    names = [kubectl("create", "-f", "-", stdin=as_yaml(body)).stdout.split()[0] for _ in range(2)]
    assert len(set(names)) == 2
    assert all(name.startswith("widget.conformance.kairos.io/w-") for name in names)
    assert len((await api.get(api.path("widgets", group=GROUP))).ok()["items"]) == 2
    refused = kubectl("apply", "-f", "-", stdin=as_yaml(body), check=False)
    assert "cannot use generate name with apply" in refused.stderr


async def test_get_shows_the_printer_columns(api: Api, kubectl: Kubectl) -> None:
    (await api.post(api.path("widgets", group=GROUP), widget(color="red"))).ok()
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    (await api.patch(api.path("widgets", "w", group=GROUP, sub="status"), status)).ok()
    head, row = rows(kubectl("get", "wd"))
    assert head == ["NAME", "SIZE", "READY", "AGE"]
    assert row[:3] == ["w", "5", "True"]
    head, row = rows(kubectl("get", "widgets", "-o", "wide"))
    assert (head[-1], row[-1]) == ("COLOR", "red")
    assert rows(kubectl("get", "toys", "-o", "name")) == [["widget.conformance.kairos.io/w"]]
    assert json.loads(kubectl("get", "widget/w", "-o", "json").stdout)["spec"]["size"] == 5
    assert kubectl("get", "widgets", "-l", "a=b").stderr.startswith("No resources found")


async def test_get_nodes_pods_jobs_and_namespaces(api: Api, kubectl: Kubectl) -> None:
    name = f"node-{api.space}"
    labels = {"node-role.kubernetes.io/control-plane": ""}
    status = {"conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"kubeletVersion": "v1.36.0"}}
    node = {"metadata": {"name": name, "labels": labels}, "spec": {"unschedulable": True}, "status": status}
    (await api.post("/api/v1/nodes", node)).ok()
    head, row = rows(kubectl("get", "node", name))
    assert head == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert (row[:3], row[4]) == ([name, "Ready,SchedulingDisabled", "control-plane"], "v1.36.0")
    (await api.delete(f"/api/v1/nodes/{name}")).ok()
    (await api.post(api.path("pods"), pod(node="nowhere"))).ok()
    head, row = rows(kubectl("get", "pods"))
    assert head == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert row[:4] == ["p", "0/1", "Pending", "0"]
    (await api.post(api.path("jobs", group="batch/v1"), job())).ok()
    head, row = rows(kubectl("get", "jobs"))
    assert head[:3] == ["NAME", "STATUS", "COMPLETIONS"]
    assert (row[0], row[2]) == ("j", "0/1")
    head, row = rows(kubectl("get", "namespace", api.space))
    assert (head, row[1]) == (["NAME", "STATUS", "AGE"], "Active")
    assert rows(kubectl("get", "lease", "--ignore-not-found")) == []


async def test_describe_shows_spec_and_events(api: Api, kubectl: Kubectl) -> None:
    made = (await api.post(api.path("widgets", group=GROUP), widget())).ok()
    event = {
        "metadata": {"name": "e"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "kairos.io/test",
        "reportingInstance": "i",
        "action": "Testing",
        "reason": "WidgetTurned",
        "type": "Normal",
        "note": "turned round once",
        "regarding": {"apiVersion": GROUP, "kind": "Widget", "name": "w", "namespace": api.space},
    }
    event["regarding"]["uid"] = made["metadata"]["uid"]  # type: ignore[index]
    (await api.post(api.path("events", group="events.k8s.io/v1"), event)).ok()
    said = kubectl("describe", "widget", "w").stdout
    assert re.search(r"Size: +5", said)
    assert "WidgetTurned" in said
    assert "turned round once" in said
    assert "WidgetTurned" in kubectl("get", "events").stdout
    (await api.post(api.path("pods"), pod(node="nowhere"))).ok()
    assert "Node:" in kubectl("describe", "pod", "p").stdout


async def test_get_watch(api: Api) -> None:
    (await api.post(api.path("widgets", group=GROUP), widget())).ok()
    cluster = api.cluster
    command = [str(cluster.kubectl_path), "--kubeconfig", str(cluster.kubeconfig), "-n", api.space]
    process = await asyncio.create_subprocess_exec(
        *command, "get", "widgets", "-w", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    output = process.stdout

    async def row() -> list[str]:
        return (await asyncio.wait_for(output.readline(), PATIENCE)).decode().split()

    try:
        assert await row() == ["NAME", "SIZE", "READY", "AGE"]
        assert (await row())[:2] == ["w", "5"]
        (await api.patch(api.path("widgets", "w", group=GROUP), {"spec": {"size": 6}})).ok()
        assert (await row())[:2] == ["w", "6"]
        (await api.post(api.path("widgets", group=GROUP), widget("x"))).ok()
        assert (await row())[:2] == ["x", "5"]
    finally:
        process.terminate()
        await process.wait()


async def test_wait_for_a_field_and_a_condition(api: Api, kubectl: Kubectl) -> None:
    (await api.post(api.path("widgets", group=GROUP), widget())).ok()
    status = {"status": {"phase": "Done", "conditions": [{"type": "Ready", "status": "True"}]}}
    (await api.patch(api.path("widgets", "w", group=GROUP, sub="status"), status)).ok()
    kubectl("wait", "widget/w", "--for=jsonpath={.status.phase}=Done", "--timeout=10s")
    kubectl("wait", "widget/w", "--for=condition=Ready", "--timeout=10s")
    late = kubectl("wait", "widget/w", "--for=jsonpath={.status.phase}=Never", "--timeout=1s", check=False)
    assert (late.returncode, "timed out" in late.stderr) == (1, True)


async def test_delete_waits_until_it_is_gone(api: Api, kubectl: Kubectl) -> None:
    (await api.post(api.path("widgets", group=GROUP), widget())).ok()
    assert "deleted" in kubectl("delete", "widget", "w").stdout
    assert (await api.get(api.path("widgets", "w", group=GROUP))).code == 404
    again = kubectl("delete", "widget", "w", check=False)
    assert 'Error from server (NotFound): widgets.conformance.kairos.io "w" not found' in again.stderr


async def test_apply_twice_and_change(api: Api, kubectl: Kubectl) -> None:
    assert "created" in kubectl("apply", "-f", "-", stdin=as_yaml(widget(tags=["a"]))).stdout
    assert "unchanged" in kubectl("apply", "-f", "-", stdin=as_yaml(widget(tags=["a"]))).stdout
    assert "configured" in kubectl("apply", "-f", "-", stdin=as_yaml(widget(size=6))).stdout
    spec = (await api.get(api.path("widgets", "w", group=GROUP))).ok()["spec"]
    assert (spec["size"], "tags" in spec) == (6, False)
    for body in (config_map(labels={"a": "1"}), pod(node="nowhere")):
        assert "created" in kubectl("apply", "-f", "-", stdin=as_yaml(body)).stdout
        body["metadata"]["labels"] = {"b": "2"}
        assert "configured" in kubectl("apply", "-f", "-", stdin=as_yaml(body)).stdout
    assert (await api.get(api.path("configmaps", "c"))).ok()["metadata"]["labels"] == {"b": "2"}
    assert (await api.get(api.path("pods", "p"))).ok()["metadata"]["labels"] == {"b": "2"}


async def test_server_side_apply(api: Api, kubectl: Kubectl) -> None:
    assert (
        "serverside-applied" in kubectl("apply", "--server-side", "-f", "-", stdin=as_yaml(widget())).stdout
    )
    other = ("apply", "--server-side", "--field-manager=other", "-f", "-")
    refused = kubectl(*other, stdin=as_yaml(widget(size=6)), check=False)
    assert 'conflict with "kubectl"' in refused.stderr
    kubectl(*other, "--force-conflicts", stdin=as_yaml(widget(size=6)))
    assert (await api.get(api.path("widgets", "w", group=GROUP))).ok()["spec"]["size"] == 6


async def test_dry_run_on_the_server(api: Api, kubectl: Kubectl) -> None:
    done = kubectl("create", "--dry-run=server", "-f", "-", "-o", "yaml", stdin=as_yaml(widget()))
    assert yaml.safe_load(done.stdout)["spec"]["color"] == "grey"
    assert (await api.get(api.path("widgets", "w", group=GROUP))).code == 404
    refused = kubectl("create", "--dry-run=server", "-f", "-", stdin=as_yaml(widget(size=0)), check=False)
    assert 'The Widget "w" is invalid: spec.size: Invalid value: 0' in refused.stderr


async def test_unknown_fields_are_refused_before_they_are_lost(kubectl: Kubectl) -> None:
    refused = kubectl("create", "-f", "-", stdin=as_yaml(widget(bogus=1)), check=False)
    assert 'strict decoding error: unknown field "spec.bogus"' in refused.stderr
    warned = kubectl("create", "--validate=warn", "-f", "-", stdin=as_yaml(widget(bogus=1)))
    assert 'Warning: unknown field "spec.bogus"' in warned.stderr
