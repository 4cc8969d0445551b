"""Pods, Jobs, Events and Leases: what the server adds to them and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.api import Api
from tests.conformance.manifests import job, owner, pod

JOBS = "batch/v1"
EVENTS = "events.k8s.io/v1"


async def test_a_pod_gets_its_defaults(api: Api) -> None:
    made = (await api.post(api.path("pods"), pod(node="nowhere", automountServiceAccountToken=False))).ok()
    spec, container = made["spec"], made["spec"]["containers"][0]
    assert (spec["restartPolicy"], spec["dnsPolicy"], spec["schedulerName"]) == (
        "Always",
        "ClusterFirst",
        "default-scheduler",
    )
    assert (spec["terminationGracePeriodSeconds"], spec["securityContext"], spec["enableServiceLinks"]) == (
        30,
        {},
        True,
    )
    assert (container["imagePullPolicy"], container["resources"]) == ("IfNotPresent", {})
    assert container["terminationMessagePath"] == "/dev/termination-log"
    assert container["terminationMessagePolicy"] == "File"
    assert made["status"]["phase"] == "Pending"
    assert made["status"]["qosClass"] == "BestEffort"
    assert made["metadata"]["generation"] == 1
    assert {one["key"] for one in spec["tolerations"]} == {
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    }


@pytest.mark.parametrize(
    ("image", "policy"), [("a", "Always"), ("a:latest", "Always"), ("r:5000/a:1", "IfNotPresent")]
)
async def test_the_pull_policy_follows_the_tag(api: Api, image: str, policy: str) -> None:
    body = pod(containers=[{"name": "main", "image": image}])
    assert (await api.post(api.path("pods"), body)).ok()["spec"]["containers"][0]["imagePullPolicy"] == policy


async def test_a_pod_that_tolerates_everything_gets_no_more_tolerations(api: Api) -> None:
    body = pod(tolerations=[{"operator": "Exists"}])
    assert (await api.post(api.path("pods"), body)).ok()["spec"]["tolerations"] == [{"operator": "Exists"}]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"containers": []}, "spec.containers"),
        ({"containers": [{"name": "Not_Legal", "image": "x"}]}, "spec.containers[0].name"),
        (
            {"containers": [{"name": "a", "image": "x"}, {"name": "a", "image": "x"}]},
            "spec.containers[1].name",
        ),
        ({"containers": [{"name": "a"}]}, "spec.containers[0].image"),
        ({"restartPolicy": "Sometimes"}, "spec.restartPolicy"),
        (
            {"containers": [{"name": "a", "image": "x", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]},
            "spec.containers[0].volumeMounts[0].name",
        ),
        ({"volumes": [{"name": "v", "hostPath": {"path": ""}}]}, "spec.volumes[0].hostPath.path"),
    ],
)
async def test_a_pod_is_validated(api: Api, spec: dict[str, Any], field: str) -> None:
    refused = await api.post(api.path("pods"), pod(**spec))
    assert (refused.code, {where for _, where in refused.causes}) == (422, {field})


async def test_a_pods_spec_stands_still(api: Api) -> None:
    (await api.post(api.path("pods"), pod(node="nowhere"))).ok()
    path = api.path("pods", "p")
    refused = await api.patch(path, {"spec": {"nodeName": "elsewhere"}})
    assert (refused.code, refused.causes) == (422, [("FieldValueForbidden", "spec")])
    assert "pod updates may not change fields other than `spec.containers[*].image`" in refused.message
    change = {"metadata": {"annotations": {"a": "b"}}}
    assert (await api.patch(path, change)).ok()["metadata"]["annotations"] == {"a": "b"}


async def test_a_pods_status_is_written_apart(api: Api) -> None:
    (await api.post(api.path("pods"), {**pod(node="nowhere"), "status": {"phase": "Running"}})).ok()
    assert (await api.get(api.path("pods", "p"))).ok()["status"]["phase"] == "Pending"
    found = (await api.patch(api.path("pods", "p", sub="status"), {"status": {"phase": "Running"}})).ok()
    assert found["status"]["phase"] == "Running"


async def test_a_job_gets_its_selector_and_labels(api: Api) -> None:
    made = (await api.post(api.path("jobs", group=JOBS), job())).ok()
    uid, spec = made["metadata"]["uid"], made["spec"]
    assert spec["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert spec["template"]["metadata"]["labels"] == {
        "app": "x",
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": "j",
        "controller-uid": uid,
        "job-name": "j",
    }
    wanted = {
        "backoffLimit": 6,
        "completions": 1,
        "parallelism": 1,
        "completionMode": "NonIndexed",
        "suspend": True,
    }
    assert {key: spec[key] for key in wanted} == wanted
    assert made["metadata"]["generation"] == 1
    assert made["metadata"]["labels"].items() >= {"app": "x"}.items()


async def test_a_job_is_validated(api: Api) -> None:
    always = job()
    always["spec"]["template"]["spec"]["restartPolicy"] = "Always"
    refused = await api.post(api.path("jobs", group=JOBS), always)
    assert (refused.code, refused.causes) == (
        422,
        [("FieldValueRequired", "spec.template.spec.restartPolicy")],
    )
    assert refused.message.endswith('Required value: valid values: "OnFailure", "Never"')
    refused = await api.post(api.path("jobs", group=JOBS), job(backoffLimit=-1))
    assert refused.causes == [("FieldValueInvalid", "spec.backoffLimit")]


async def test_a_jobs_template_stands_still(api: Api) -> None:
    (await api.post(api.path("jobs", group=JOBS), job(suspend=False, parallelism=0))).ok()
    path = api.path("jobs", "j", group=JOBS)
    change = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 7}}}}
    refused = await api.patch(path, change)
    assert (refused.code, refused.causes) == (422, [("FieldValueInvalid", "spec.template")])
    assert refused.message.endswith("field is immutable")
    assert (await api.patch(path, {"spec": {"backoffLimit": 3}})).ok()["metadata"]["generation"] == 2


def _event(api: Api, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": EVENTS,
        "kind": "Event",
        "metadata": {"name": "e"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "kairos.io/test",
        "reportingInstance": "test-1",
        "action": "Testing",
        "reason": "Tested",
        "type": "Normal",
        "note": "said so",
        "regarding": {"apiVersion": "v1", "kind": "Pod", "name": "p", "namespace": api.space, "uid": "u"},
        **more,
    }


async def test_the_two_event_apis_show_the_same_event(api: Api) -> None:
    (await api.post(api.path("events", group=EVENTS), _event(api))).ok()
    core = (await api.get(api.path("events", "e"))).ok()
    assert (core["message"], core["involvedObject"]["name"]) == ("said so", "p")
    assert (core["reportingComponent"], core["apiVersion"]) == ("kairos.io/test", "v1")
    fields = "involvedObject.name=p,involvedObject.kind=Pod,reason=Tested"
    assert len((await api.get(api.path("events"), fieldSelector=fields)).ok()["items"]) == 1
    assert (await api.get(api.path("events"), fieldSelector="type=Warning")).ok()["items"] == []
    series = {"series": {"count": 2, "lastObservedTime": "2026-01-01T00:01:00.000000Z"}}
    assert (await api.patch(api.path("events", "e", group=EVENTS), series)).ok()["series"]["count"] == 2


@pytest.mark.parametrize(
    "field", ["eventTime", "reportingController", "reportingInstance", "action", "reason"]
)
async def test_an_event_says_who_and_what(api: Api, field: str) -> None:
    refused = await api.post(api.path("events", group=EVENTS), _event(api, **{field: None}))
    assert (refused.code, refused.reason) == (422, "Invalid")
    assert field in refused.message


async def test_an_event_lives_with_what_it_is_about(api: Api) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "name": "n"}
    assert (await api.post(api.path("events", group=EVENTS), _event(api, regarding=node))).code == 422
    in_default = api.path("events", group=EVENTS, space="default")
    made = (
        await api.post(in_default, {**_event(api, regarding=node), "metadata": {"generateName": "e-"}})
    ).ok()
    (await api.delete(f"{in_default}/{made['metadata']['name']}")).ok()
    elsewhere = {"apiVersion": "v1", "kind": "Pod", "name": "p", "namespace": "default"}
    old = {"metadata": {"name": "o"}, "involvedObject": elsewhere, "reason": "Tested", "message": "m"}
    refused = await api.post(api.path("events"), old)
    assert refused.causes == [("FieldValueInvalid", "involvedObject.namespace")]
    assert (await api.post(api.path("events", group=EVENTS), _event(api, regarding=elsewhere))).code == 201
    assert (await api.post(api.path("events", group=EVENTS), _event(api, note="x" * 1025))).code == 422


async def test_a_lease_is_a_lock(api: Api) -> None:
    group = "coordination.k8s.io/v1"
    body = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}}
    first = (await api.post(api.path("leases", group=group), body)).ok()
    path = api.path("leases", "l", group=group)
    taken = {**first, "spec": {"holderIdentity": "b", "leaseDurationSeconds": 15}}
    (await api.put(path, taken)).ok()
    assert (await api.put(path, {**first, "spec": {"holderIdentity": "c"}})).code == 409
    refused = await api.patch(path, {"spec": {"leaseDurationSeconds": 0}})
    assert refused.causes == [("FieldValueInvalid", "spec.leaseDurationSeconds")]


async def test_a_pod_has_one_controller(api: Api) -> None:
    made = (await api.post(api.path("jobs", group=JOBS), job())).ok()
    body = pod()
    body["metadata"]["ownerReferences"] = [
        owner(made, controller=True),
        owner(made, controller=True, uid="another"),
    ]
    refused = await api.post(api.path("pods"), body)
    assert (refused.code, {field for _, field in refused.causes}) == (422, {"metadata.ownerReferences"})
