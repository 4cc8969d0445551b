"""What must hold of any spec whatever, on a real API server: its schema beside the webhooks, and what pods it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kairos_operator.api.cluster import parse_node
from kairos_operator.api.names import Role
from kairos_operator.api.objects import parse_node_op
from kairos_operator.api.resources import JOBS, NODE_OPS, PODS, Resource
from kairos_operator.core.manifests import check_pod, job, reboot_pod
from kairos_operator.core.snapshot import Images, Snapshot
from kairos_operator.runtime.errors import ApiError
from kairos_operator.runtime.kr8s_api import Kr8sApi
from kairos_operator.runtime.kube_client import KubeClient
from tests.cluster.controlplane import Cluster
from tests.webhooks.real import event_loop_in_a_thread, run_in, with_crds
from tests.webhooks.strategies import NAMES, spoiled
from tests.webhooks.strategies import NODE_OPS as NODE_OP_SPECS
from tests.webhooks.test_properties import (
    KINDS,
    NOW,
    SPECS,
    for_each_kind,
    needs_cordon,
    whole,
    without_images,
    without_nulls,
)
from webhooks.defaults import defaulted
from webhooks.validate import faults_of

pytestmark = pytest.mark.realcluster
NAMESPACE = "admission-properties"
some = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@dataclass(frozen=True)
class Server:
    """A real API server with the CRDs and no webhook."""

    client: KubeClient
    loop: asyncio.AbstractEventLoop

    def creates(self, resource: Resource, body: dict[str, Any]) -> Any:
        """The object as it would be stored. Raises ApiError."""
        return run_in(self.loop, self.client.create(resource, body, NAMESPACE, dry_run=True))


@pytest.fixture(scope="module")
def server(real_control_plane: Cluster) -> Iterator[Server]:
    with with_crds(real_control_plane, NAMESPACE) as plain, event_loop_in_a_thread() as loop:
        plain.cluster.kubectl(
            "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=privileged"
        )
        api = run_in(loop, Kr8sApi.connect(str(real_control_plane.kubeconfig)))
        try:
            yield Server(KubeClient(api), loop)
        finally:
            run_in(loop, api.close())


@for_each_kind
@some
@given(data=st.data())
def test_what_the_real_schema_rejects_the_webhook_rejects(
    resource: Resource, data: st.DataObject, server: Server
) -> None:
    assert resource in KINDS
    obj = placed(whole(resource, without_nulls(data.draw(spoiled(SPECS[resource])))))
    refused = ""
    try:
        server.creates(resource, obj)
    except ApiError as error:
        refused = error.message
    assert refused == "" or faults_of(resource, defaulted(resource, obj, "a:1")), refused


@for_each_kind
@some
@given(data=st.data())
def test_the_real_schema_fills_in_what_the_webhook_does(
    resource: Resource, data: st.DataObject, server: Server
) -> None:
    obj = placed(whole(resource, data.draw(SPECS[resource].filter(lambda spec: not needs_cordon(spec)))))
    stored = server.creates(resource, obj)
    assert without_images(defaulted(resource, obj, "default:1")["spec"], obj["spec"]) == stored["spec"]


@some
@given(spec=spoiled(NODE_OP_SPECS), name=NAMES, node=NAMES)
def test_what_validation_accepts_makes_pods_and_jobs_that_a_real_api_server_takes(
    spec: dict[str, Any], name: str, node: str, server: Server
) -> None:
    obj = defaulted(NODE_OPS, whole(NODE_OPS, spec, name), "a:1")
    if faults_of(NODE_OPS, obj):
        return
    labels = {"a": "true"}
    view = parse_node({"metadata": {"name": node, "uid": "2", "labels": labels}, "spec": {}, "status": {}})
    op = parse_node_op(placed(obj) | {"metadata": {"name": name, "namespace": NAMESPACE, "uid": "1"}})
    snapshot = Snapshot(op, NOW, Images("op:1", "sentinel:1", "a:1"), {node: view})
    checks = {Role.PREFLIGHT: op.spec.preflight, Role.POSTFLIGHT: op.spec.postflight}
    pods = [check_pod(snapshot, node, role, check) for role, check in checks.items() if check]
    server.creates(JOBS, without_account(job(snapshot, node)))
    for body in [*pods, reboot_pod(snapshot, node)]:
        server.creates(PODS, without_account(body))


def placed(obj: dict[str, Any]) -> dict[str, Any]:
    """The object as a user creates it: in the namespace of the request, without a uid."""
    return obj | {"metadata": {"name": obj["metadata"]["name"]}}


def without_account(body: dict[str, Any]) -> dict[str, Any]:
    """The body with the account that each namespace has, where it names one that is made beside it."""
    spec = body["spec"]
    return body | {"spec": {key: value for key, value in spec.items() if key != "serviceAccountName"}}
