"""The CRDs follow from the models, and are what a structural schema may be."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from pydantic import Field

from kairos_operator.api.base import ApiModel
from kairos_operator.api.crd import MODELS, custom_resource_definition, object_schema
from kairos_operator.api.nodeop import NodeOpSpec
from kairos_operator.api.nodeopupgrade import NodeOpUpgradeSpec
from kairos_operator.api.resources import NODE_OP_UPGRADES, NODE_OPS, Resource
from kairos_operator.api.schema import NotStructural, Schema, structural

ROOT = Path(__file__).resolve().parents[2]
KINDS = list(MODELS)


def nodes(schema: Schema, where: str = "") -> Iterator[tuple[str, Schema]]:
    """Every node of a schema and its place."""
    yield where, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{where}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key], f"{where}[]")


def test_what_is_committed_is_what_the_models_say() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "hack/generate.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_kustomize_finds_both() -> None:
    listed = yaml.safe_load((ROOT / "crds/kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted(path.name for path in (ROOT / "crds").glob("operator.*.yaml"))


@pytest.mark.parametrize("resource", KINDS, ids=lambda res: res.kind)
def test_every_field_is_described_and_typed(resource: Resource) -> None:
    root = object_schema(resource)
    for where, node in nodes(root):
        assert node["type"] in {"object", "array", "string", "integer", "boolean"}, where
        assert not {"$ref", "anyOf", "title", "$defs"} & set(node), where
        for name, child in node.get("properties", {}).items():
            assert (where == "" and name == "metadata") or child.get("description"), f"{where}.{name}"


@pytest.mark.parametrize("resource", KINDS, ids=lambda res: res.kind)
def test_everything_in_a_spec_is_bounded_so_that_rules_stay_cheap(resource: Resource) -> None:
    for where, node in nodes(object_schema(resource)["properties"]["spec"]):
        kind = node["type"]
        if kind == "array":
            assert "maxItems" in node, where
        if kind == "string" and "enum" not in node:
            assert "maxLength" in node, where
        if "additionalProperties" in node:
            assert "maxProperties" in node, where


def test_defaults_are_those_of_the_go_operator() -> None:
    def defaults(resource: Resource, *path: str) -> dict[str, Any]:
        schema = object_schema(resource)["properties"]["spec"]
        for step in path:
            schema = schema["properties"][step]
        return {name: field["default"] for name, field in schema["properties"].items() if "default" in field}

    assert defaults(NODE_OPS) == {
        "hostMountPath": "/host",
        "cordon": False,
        "uncordonOnFailure": False,
        "drainOptions": {},
        "rebootOnSuccess": False,
        "backoffLimit": 6,
        "concurrency": 0,
        "stopOnFailure": False,
        "rebootTimeoutSeconds": 1800,
    }
    assert defaults(NODE_OPS, "drainOptions") == {
        "enabled": False,
        "force": False,
        "ignoreDaemonSets": True,
        "deleteEmptyDirData": False,
        "timeoutSeconds": 300,
    }
    assert defaults(NODE_OPS, "preflight") == {"activeDeadlineSeconds": 120}
    assert defaults(NODE_OP_UPGRADES) == {
        "concurrency": 0,
        "stopOnFailure": False,
        "upgradeActive": True,
        "upgradeRecovery": False,
        "force": False,
        "debug": False,
        "uncordonOnFailure": False,
        "rebootTimeoutSeconds": 1800,
    }


def test_the_image_has_no_default_that_the_operator_could_not_change() -> None:
    assert "default" not in object_schema(NODE_OPS)["properties"]["spec"]["properties"]["image"]


@pytest.mark.parametrize("resource", KINDS, ids=lambda res: res.kind)
def test_a_status_has_no_defaults_and_keeps_what_a_newer_operator_wrote(resource: Resource) -> None:
    for where, node in nodes(object_schema(resource)["properties"]["status"]):
        assert "default" not in node, where
        if "properties" in node:
            assert node["x-kubernetes-preserve-unknown-fields"] is True, where


def test_conditions_are_a_map_for_server_side_apply() -> None:
    conditions = object_schema(NODE_OPS)["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]


@pytest.mark.parametrize("resource", KINDS, ids=lambda res: res.kind)
def test_what_kubectl_get_shows(resource: Resource) -> None:
    version = custom_resource_definition(resource)["spec"]["versions"][0]
    columns = [(column["name"], column.get("priority", 0)) for column in version["additionalPrinterColumns"]]
    narrow = ["Phase", "Progress", "In-flight", "Failed", "Age"]
    assert columns == [(name, 0) for name in narrow] + [("Image", 1), ("Message", 1)]


@pytest.mark.parametrize(
    ("model", "path", "good", "bad"),
    [
        (NodeOpSpec, "hostMountPath", ["/host", "/a/b", "/.a", "/..a", "/a.b"], ["/", "a", "/a/", "/a//b"]),
        (NodeOpSpec, "hostMountPath", ["/..."], ["/.", "/..", "/a/../b", "/a/./b", "/a:b", "/a\n", "//"]),
        (NodeOpUpgradeSpec, "excludePaths", [["/a b"], ["/'"]], [["a"], ["/a\nb"], [""]]),
    ],
)
def test_patterns(model: type[ApiModel], path: str, good: list[Any], bad: list[Any]) -> None:
    rest: dict[str, Any] = {"command": ["x"], "image": "x"}
    for value in good:
        model.model_validate(rest | {path: value})
    for value in bad:
        with pytest.raises(ValueError, match=path):
            model.model_validate(rest | {path: value})


def test_a_negative_grace_period_is_the_pods_own() -> None:
    spec = NodeOpSpec.model_validate({"command": ["x"], "drainOptions": {"gracePeriodSeconds": -30}})
    assert spec.drain_options is not None
    assert spec.drain_options.grace_period_seconds == -30


class Union(ApiModel):
    """Says what no structural schema can."""

    either: int | str = 0
    """Two types."""


class Exclusive(ApiModel):
    """Has a bound that this generator does not know."""

    above: Annotated[int, Field(gt=0)] = 1
    """More than nothing."""


@pytest.mark.parametrize(
    ("model", "said"), [(Union, "Union.either: a union"), (Exclusive, "exclusiveMinimum")]
)
def test_what_cannot_be_said_fails_when_it_is_generated(model: type[ApiModel], said: str) -> None:
    with pytest.raises(NotStructural, match=said):
        structural(model, {})
