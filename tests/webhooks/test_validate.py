"""Every rule of validation, its field and its words; and that all faults of an object are said at once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.webhooks.objects import Object, node_op, resource_of, upgrade
from webhooks.faults import Fault, FaultType, invalid_status, shown
from webhooks.validate import MAX_ARGUMENT, MAX_COMMAND, MAX_EXCLUDED, faults_of


def said(obj: Object) -> list[str]:
    return [str(fault) for fault in faults_of(resource_of(obj), obj)]


def selector(**parts: Any) -> dict[str, Any]:
    return {"nodeSelector": parts}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    found: dict[str, Any] = {"key": key, "operator": operator}
    return selector(matchExpressions=[found | ({"values": list(values)} if values else {})])


GOOD: list[Object] = [
    node_op(),
    node_op(cordon=True, drainOptions={"enabled": True, "gracePeriodSeconds": -1}),
    node_op(drainOptions={"enabled": False}),
    node_op(hostMountPath="/mnt/host.d"),
    node_op(
        preflight={"command": ["sh", "-c", ""]},
        postflight={"command": ["x"], "image": "a/b@sha256:" + "a" * 64},
    ),
    node_op(imagePullSecrets=[{"name": "a.b-c"}]),
    node_op(**selector()),
    node_op(
        **selector(matchLabels={"kairos.io/managed": "true", "node-role.kubernetes.io/control-plane": ""})
    ),
    node_op(**expression("a", "In", "x", "")),
    node_op(**expression("example.com/A_b.c", "DoesNotExist")),
    node_op(command=["x" * MAX_ARGUMENT]),
    node_op(name="a" * 253),
    upgrade(),
    upgrade(excludePaths=["/etc/my file", "/it's"], upgradeActive=False, upgradeRecovery=True),
    upgrade(image="localhost:5000/a/b"),
]

LABEL = (
    "must consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character"
)
CLEAN = "must be a clean path: no '//', '.' or '..', no ':' or control characters, no '/' at the end"
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)
AT = "spec.nodeSelector.matchExpressions[0]"

BAD: list[tuple[Object, str]] = [
    (node_op(command=[]), "spec.command: Required value: must name the program to run"),
    (node_op(command=[""]), "spec.command[0]: Required value: must name the program to run"),
    (
        node_op(command=["a", "b\0"]),
        r'spec.command[1]: Invalid value: "b\u0000": must not contain NUL characters',
    ),
    (node_op(command=["é" * 65536]), f"spec.command[0]: Too long: may not be more than {MAX_ARGUMENT} bytes"),
    (node_op(command="ls"), 'spec.command: Invalid value: "ls": must be of type array'),
    (node_op(command=[1]), "spec.command[0]: Invalid value: 1: must be of type string"),
    (node_op(image="a b"), 'spec.image: Invalid value: "a b": must not contain whitespace'),
    (node_op(image=""), 'spec.image: Invalid value: "": should be at least 1 chars long'),
    (node_op(image="a" * 600), "spec.image: "),
    (node_op(concurrency=-1), "spec.concurrency: Invalid value: -1: should be greater than or equal to 0"),
    (node_op(concurrency="1"), 'spec.concurrency: Invalid value: "1": must be of type integer'),
    (node_op(concurrency=True), "spec.concurrency: Invalid value: true: must be of type integer"),
    (node_op(cordon="yes"), 'spec.cordon: Invalid value: "yes": must be of type boolean'),
    (
        node_op(backoffLimit=2**31),
        "spec.backoffLimit: Invalid value: 2147483648: should be less than or equal to",
    ),
    (node_op(hostMountPath="host"), 'spec.hostMountPath: Invalid value: "host": must be an absolute path'),
    (
        node_op(hostMountPath="/"),
        'spec.hostMountPath: Invalid value: "/": must not be the root of the container',
    ),
    (node_op(hostMountPath="//"), "must not be the root of the container"),
    (node_op(hostMountPath="/a/../b"), f'spec.hostMountPath: Invalid value: "/a/../b": {CLEAN}'),
    (node_op(hostMountPath="/a/"), CLEAN),
    (node_op(hostMountPath="/proc/1"), "must not hide the container's /dev, /proc or /sys"),
    (
        node_op(drainOptions={"enabled": True}),
        "spec.drainOptions.enabled: Invalid value: true: needs spec.cordon: true",
    ),
    (
        node_op(drainOptions={"timeoutSeconds": 0}),
        "spec.drainOptions.timeoutSeconds: Invalid value: 0: should be",
    ),
    (node_op(drainOptions=[]), "spec.drainOptions: Invalid value: []: must be of type object"),
    (node_op(preflight={}), "spec.preflight.command: Required value"),
    (
        node_op(preflight={"command": []}),
        "spec.preflight.command: Required value: must name the program to run",
    ),
    (node_op(postflight={"command": ["x"], "image": "A:b:c"}), "spec.postflight.image: Invalid value"),
    (
        node_op(imagePullSecrets=[{"name": "A"}]),
        f'spec.imagePullSecrets[0].name: Invalid value: "A": {SUBDOMAIN}',
    ),
    (node_op(imagePullSecrets=[{}]), "spec.imagePullSecrets[0].name: Required value"),
    (
        node_op(imagePullSecrets=[{"name": "a"}] * 33),
        "spec.imagePullSecrets: Too many: 33: must have at most 32",
    ),
    (node_op(**expression("a b", "Exists")), f'{AT}.key: Invalid value: "a b": name part {LABEL}'),
    (node_op(**expression("/a", "Exists")), f'{AT}.key: Invalid value: "/a": prefix part must be non-empty'),
    (node_op(**expression("A/b/c", "Exists")), "prefix part a lowercase RFC 1123 subdomain"),
    (node_op(**expression("a/", "Exists")), "name part must be non-empty"),
    (node_op(**expression("a" * 64, "Exists")), "name part must be no more than 63 bytes"),
    (
        node_op(**expression("a", "In")),
        f"{AT}.values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
    ),
    (
        node_op(**expression("a", "Exists", "x")),
        f"{AT}.values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
    ),
    (node_op(**expression("a", "In", "x y")), f'{AT}.values[0]: Invalid value: "x y": a valid label must be'),
    (
        node_op(**expression("a", "Gt", "1")),
        f'{AT}.operator: Unsupported value: "Gt": supported values: "In", "NotIn", "Exists", "DoesNotExist"',
    ),
    (
        node_op(**selector(matchLabels={"a b": ""})),
        'spec.nodeSelector.matchLabels[a b]: Invalid value: "a b": name',
    ),
    (
        node_op(**selector(matchLabels={"a": "-"})),
        'spec.nodeSelector.matchLabels[a]: Invalid value: "-": a valid',
    ),
    (
        node_op(**selector(matchLabels={"a": 1})),
        "spec.nodeSelector.matchLabels[a]: Invalid value: 1: must be of type",
    ),
    (node_op(name="A"), f'metadata.name: Invalid value: "A": {SUBDOMAIN}'),
    (node_op(name=""), "metadata.name: Required value: name or generateName is required"),
    (node_op() | {"spec": None}, "spec: Required value"),
    (node_op() | {"spec": []}, "spec: Invalid value: []: must be of type object"),
    ({"kind": "NodeOp", "metadata": {"name": "a"}}, "spec: Required value"),
    (
        {"kind": "NodeOp", "metadata": {"generateName": "A-"}, "spec": {}},
        "metadata.generateName: Invalid value",
    ),
    ({"kind": "NodeOpUpgrade", "metadata": {"name": "a"}, "spec": {}}, "spec.image: Required value"),
    (
        node_op(command=["x" * 131_000] * 3),
        f"spec.command: Too long: may not be more than {MAX_COMMAND} bytes in all",
    ),
    (
        upgrade(excludePaths=["/" + "é" * 2000] * 17),
        f"spec.excludePaths: Too long: may not be more than {MAX_EXCLUDED} bytes in all",
    ),
    (upgrade(excludePaths=["etc"]), 'spec.excludePaths[0]: Invalid value: "etc": must be an absolute path'),
    (upgrade(excludePaths=["/a", "/b\nc"]), "spec.excludePaths[1]: Invalid value"),
    (
        upgrade(jobTimeoutSeconds=0),
        "spec.jobTimeoutSeconds: Invalid value: 0: should be greater than or equal to 1",
    ),
]


@pytest.mark.parametrize("obj", GOOD, ids=range(len(GOOD)))
def test_good_objects_have_no_faults(obj: Object) -> None:
    assert said(obj) == []


@pytest.mark.parametrize(("obj", "text"), BAD, ids=[text[:40] for _, text in BAD])
def test_a_bad_field_is_named_once_and_in_the_api_servers_words(obj: Object, text: str) -> None:
    faults = said(obj)
    assert [fault for fault in faults if text in fault], faults
    assert len({fault.split(": ")[0] for fault in faults}) == len(faults) == 1 or "generateName" in text


def test_all_faults_of_an_object_come_at_once() -> None:
    obj = node_op(
        image="A B",
        command=[],
        concurrency="x",
        hostMountPath="host",
        drainOptions={"enabled": True},
        preflight={"command": [""], "image": "@"},
        **selector(
            matchLabels={"-": "ok"}, matchExpressions=[{"key": "a", "operator": "In"}, {"operator": "Foo"}]
        ),
    )
    assert [fault.split(": ")[0] for fault in said(obj)] == [
        "spec.command",
        "spec.concurrency",
        "spec.drainOptions.enabled",
        "spec.hostMountPath",
        "spec.image",
        "spec.nodeSelector.matchExpressions[0].values",
        "spec.nodeSelector.matchExpressions[1].key",
        "spec.nodeSelector.matchExpressions[1].operator",
        "spec.nodeSelector.matchLabels[-]",
        "spec.preflight.command[0]",
        "spec.preflight.image",
    ]


def test_the_status_is_the_api_servers_own() -> None:
    status = invalid_status("NodeOp", "a", faults_of(resource_of(node_op()), node_op(concurrency=-1)))
    assert status == {
        "status": "Failure",
        "code": 422,
        "reason": "Invalid",
        "message": 'NodeOp.operator.kairos.io "a" is invalid: '
        "spec.concurrency: Invalid value: -1: should be greater than or equal to 0",
        "details": {
            "name": "a",
            "group": "operator.kairos.io",
            "kind": "NodeOp",
            "causes": [
                {
                    "reason": "FieldValueInvalid",
                    "message": "Invalid value: -1: should be greater than or equal to 0",
                    "field": "spec.concurrency",
                }
            ],
        },
    }


def test_several_faults_are_a_list_in_the_message() -> None:
    faults = [Fault(("spec", "a"), FaultType.REQUIRED), Fault(("spec", "b"), FaultType.FORBIDDEN, "no")]
    said = invalid_status("NodeOp", "a", faults)["message"]
    assert said.endswith("is invalid: [spec.a: Required value, spec.b: Forbidden: no]")


def test_a_long_value_is_not_repeated_in_full() -> None:
    assert len(shown("x" * 10_000)) < 200
    assert shown("x" * 10_000).endswith('..."')


def test_text_that_cannot_be_stored_is_a_fault() -> None:
    assert said(node_op(command=["\ud800"]))
