"""The bodies of an operation's children, one sentence of the promise at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kairos_operator.api.cluster import parse_job, parse_pod
from kairos_operator.api.names import Role
from kairos_operator.api.nodeop import NodeCheck
from kairos_operator.core.manifests import check_pod, job, reboot_pod
from kairos_operator.core.scripts import sentinel_command
from kairos_operator.core.snapshot import Images, Snapshot
from tests.core.world import IMAGES, UID, at, op, snapshot

LONG = "n" * 60 + "." + "m" * 190
FULL: dict[str, Any] = {
    "command": ["sh", "-c", "echo $(date)"],
    "image": "tools:2",
    "image_pull_secrets": [{"name": "one"}, {"name": "two"}],
    "host_mount_path": "/mnt/host",
    "backoff_limit": 2,
    "job_timeout_seconds": 99,
    "reboot_on_success": True,
    "preflight": {"command": ["check"], "active_deadline_seconds": 33},
    "postflight": {"command": ["verify"], "image": "verify:1"},
}


def _facts(images: Images = IMAGES, name: str = "op", **spec: Any) -> Snapshot:
    found = snapshot(op(name, **spec))
    return Snapshot(op=found.op, now=at(0), images=images, nodes={})


def _preflight(facts: Snapshot, node: str = "n1") -> dict[str, Any]:
    return check_pod(facts, node, Role.PREFLIGHT, facts.op.spec.preflight or NodeCheck(command=["check"]))


def _postflight(facts: Snapshot, node: str = "n1") -> dict[str, Any]:
    return check_pod(facts, node, Role.POSTFLIGHT, facts.op.spec.postflight or NodeCheck(command=["verify"]))


def _job(facts: Snapshot, node: str = "n1") -> dict[str, Any]:
    return job(facts, node)


def _reboot(facts: Snapshot, node: str = "n1") -> dict[str, Any]:
    return reboot_pod(facts, node)


def _pod(body: dict[str, Any]) -> dict[str, Any]:
    """The pod's spec, a Job's template's included."""
    found: dict[str, Any] = body["spec"]["template"]["spec"] if body["kind"] == "Job" else body["spec"]
    return found


def _containers(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    spec = _pod(body)
    return {one["name"]: one for one in [*spec.get("initContainers", []), *spec["containers"]]}


Maker = Callable[..., dict[str, Any]]
PODS = pytest.mark.parametrize("make", [_preflight, _postflight, _job, _reboot])


@PODS
def test_every_pod_names_its_node_and_tolerates_every_taint(make: Maker) -> None:
    spec = _pod(make(_facts(**FULL), "n7"))
    assert spec["nodeName"] == "n7"
    assert spec["tolerations"] == [{"operator": "Exists"}]


@PODS
def test_every_pod_gets_the_pull_secrets(make: Maker) -> None:
    assert _pod(make(_facts(**FULL)))["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]
    assert "imagePullSecrets" not in _pod(make(_facts()))


@PODS
def test_every_child_is_owned_by_its_operation_and_lives_beside_it(make: Maker) -> None:
    metadata = make(_facts(**FULL))["metadata"]
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == ("NodeOp", "op", UID, True)
    assert metadata["namespace"] == "default"


@pytest.mark.parametrize(
    ("make", "mark"),
    [
        (_preflight, {"kairos.io/preflight": "true"}),
        (_postflight, {"kairos.io/postflight": "true"}),
        (_reboot, {"kairos.io/reboot": "true"}),
        (_job, {}),
    ],
)
def test_the_labels(make: Maker, mark: dict[str, str]) -> None:
    wanted = {"kairos.io/nodeop": "op", "kairos.io/node": "n1", **mark}
    body = make(_facts(**FULL))
    assert body["metadata"]["labels"] == wanted
    if body["kind"] == "Job":
        assert body["spec"]["template"]["metadata"]["labels"] == wanted


@PODS
def test_names_too_long_for_labels_are_whole_in_annotations_and_read_back_from_there(make: Maker) -> None:
    body = make(_facts(name=LONG, **FULL), LONG)
    assert len(body["metadata"]["name"]) <= 63
    assert all(len(value) <= 63 for value in body["metadata"]["labels"].values())
    if body["kind"] == "Job":
        view = parse_job(body)
        assert (view.node_op, view.node) == (LONG, LONG)
        template = body["spec"]["template"]["metadata"]
        assert parse_pod({"metadata": {"name": "x", **template}}).node_op == LONG
    else:
        pod = parse_pod(body)
        assert (pod.node_op, pod.operation_node, pod.node) == (LONG, LONG, LONG)


@PODS
def test_nothing_but_the_reboot_pod_can_speak_to_the_api_server(make: Maker) -> None:
    assert _pod(make(_facts(**FULL)))["automountServiceAccountToken"] is (make is _reboot)


# Checks


@pytest.mark.parametrize(
    ("make", "name", "image", "command", "deadline", "restart"),
    [
        (_preflight, "preflight", "tools:2", ["check"], 33, "OnFailure"),
        (_postflight, "postflight", "verify:1", ["verify"], 120, "Never"),
    ],
)
def test_a_check_pod(
    make: Maker, name: str, image: str, command: list[str], deadline: int, restart: str
) -> None:
    spec = make(_facts(**FULL))["spec"]
    (container,) = spec["containers"]
    assert (container["name"], container["image"], container["command"]) == (name, image, command)
    assert (spec["activeDeadlineSeconds"], spec["restartPolicy"]) == (deadline, restart)


@PODS
def test_the_last_words_of_every_container_are_kept(make: Maker) -> None:
    spec = _pod(make(_facts(**FULL)))
    containers = [*spec.get("initContainers", ()), *spec["containers"]]
    assert {one["terminationMessagePolicy"] for one in containers} == {"FallbackToLogsOnError"}


@pytest.mark.parametrize("make", [_preflight, _postflight])
def test_a_check_may_only_look(make: Maker) -> None:
    body = make(_facts(**FULL))
    (container,) = body["spec"]["containers"]
    security = container["securityContext"]
    assert (security["privileged"], security["allowPrivilegeEscalation"]) == (False, False)
    assert security["capabilities"] == {"drop": ["ALL"]}
    mount = {
        "name": "host-root",
        "mountPath": "/mnt/host",
        "readOnly": True,
        "recursiveReadOnly": "IfPossible",
    }
    assert container["volumeMounts"] == [
        mount
    ]  # without the last, /etc and /oem are mounts that can be written
    assert body["spec"]["volumes"] == [{"name": "host-root", "hostPath": {"path": "/", "type": "Directory"}}]
    assert "hostPID" not in body["spec"]


# The Job


def test_the_job() -> None:
    body = _job(_facts(**{**FULL, "reboot_on_success": False}))
    assert (body["apiVersion"], body["spec"]["backoffLimit"], body["spec"]["activeDeadlineSeconds"]) == (
        "batch/v1",
        2,
        99,
    )
    spec = _pod(body)
    assert spec["restartPolicy"] == "Never"
    (container,) = spec["containers"]
    assert (container["name"], container["image"]) == ("nodeop", "tools:2")
    assert container["command"] == FULL["command"]
    assert container["securityContext"] == {"privileged": True}
    assert container["volumeMounts"] == [{"name": "host-root", "mountPath": "/mnt/host"}]
    assert "initContainers" not in spec


def test_a_job_without_a_timeout_has_no_deadline() -> None:
    assert "activeDeadlineSeconds" not in _job(_facts())["spec"]
    assert _job(_facts())["spec"]["backoffLimit"] == 6


def test_a_job_is_kept_until_its_operation_goes() -> None:
    """One that is collected before its end was seen would count as lost."""
    assert "ttlSecondsAfterFinished" not in _job(_facts(**FULL))["spec"]


def test_with_a_reboot_the_command_comes_first_and_the_sentinel_only_after_its_success() -> None:
    body = _job(_facts(**FULL))
    spec = _pod(body)
    assert [one["name"] for one in spec["initContainers"]] == ["nodeop"]
    (creator,) = spec["containers"]
    assert (creator["name"], creator["image"]) == ("sentinel-creator", "sentinel:1")
    assert creator["command"] == sentinel_command(body["metadata"]["name"])
    assert creator["securityContext"] == {"privileged": True, "runAsUser": 0, "runAsGroup": 0}
    assert creator["volumeMounts"] == [{"name": "sentinel", "mountPath": "/sentinel"}]


@pytest.mark.parametrize("make", [_preflight, _postflight, _job])
@pytest.mark.parametrize("path", ["/host", "/mnt/host"])
def test_the_command_finds_the_hosts_root_in_host_dir(make: Maker, path: str) -> None:
    facts = _facts(host_mount_path=path)
    (container,) = _containers(make(facts)).values()
    assert container["env"] == [{"name": "HOST_DIR", "value": path}]
    assert container["volumeMounts"][0]["mountPath"] == path


@pytest.mark.parametrize(
    ("spec", "images", "command", "sentinel", "check"),
    [
        ({"image": "own:1"}, IMAGES, "own:1", "sentinel:1", "own:1"),
        ({"image": "own:1"}, Images(operator="o"), "own:1", "own:1", "own:1"),
        ({}, IMAGES, "default:1", "sentinel:1", "default:1"),
        ({}, Images(), "busybox:latest", "busybox:latest", "busybox:latest"),
        (
            {"image": "own:1", "preflight": {"command": ["c"], "image": "check:1"}},
            IMAGES,
            "own:1",
            "sentinel:1",
            "check:1",
        ),
    ],
)
def test_which_image(spec: dict[str, Any], images: Images, command: str, sentinel: str, check: str) -> None:
    facts = _facts(images, reboot_on_success=True, **spec)
    found = _containers(_job(facts))
    assert (found["nodeop"]["image"], found["sentinel-creator"]["image"]) == (command, sentinel)
    assert _containers(_preflight(facts))["preflight"]["image"] == check


def test_the_same_facts_give_the_same_body() -> None:
    """Creating twice is one object: nothing in a body may depend on the moment."""
    one, other = _facts(**FULL), Snapshot(op=_facts(**FULL).op, now=at(999), images=IMAGES, nodes={})
    assert [make(one) for make in (_job, _reboot)] == [make(other) for make in (_job, _reboot)]
