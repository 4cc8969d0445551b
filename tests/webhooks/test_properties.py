"""What must hold of both webhooks for any object whatever."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kairos_operator.api.cluster import parse_node
from kairos_operator.api.crd import MODELS, custom_resource_definition
from kairos_operator.api.names import Role
from kairos_operator.api.objects import parse_node_op, parse_node_op_upgrade
from kairos_operator.api.resources import CUSTOM_RESOURCE_DEFINITIONS, NODE_OP_UPGRADES, NODE_OPS, Resource
from kairos_operator.core.manifests import check_pod, job, reboot_pod
from kairos_operator.core.nodeop import plan
from kairos_operator.core.snapshot import Images, Snapshot
from kairos_operator.core.upgrade import node_op_body
from tests.sandbox.store import StatusError, Store, counting_suffixes, counting_uids
from tests.webhooks.objects import node_op, patch_in, review
from tests.webhooks.strategies import JSON_VALUES, NAMES, UPGRADES, spoiled
from tests.webhooks.strategies import NODE_OPS as NODE_OP_SPECS
from webhooks.defaults import defaulted, patch_for
from webhooks.labels import subdomain_fault, value_fault
from webhooks.review import Door, Knowledge, answer, mutate, parse, render, validate
from webhooks.validate import MAX_EXCLUDED, faults_of

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
SPECS = {NODE_OPS: NODE_OP_SPECS, NODE_OP_UPGRADES: UPGRADES}
KINDS = list(SPECS)
some = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
for_each_kind = pytest.mark.parametrize("resource", KINDS, ids=lambda res: res.kind)


def whole(resource: Resource, spec: Any, name: str = "x") -> dict[str, Any]:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "namespace": "default", "uid": "1"},
        "spec": spec,
    }


def contains(new: Any, old: Any) -> bool:
    """Whether everything that `old` says is said by `new` too; null says nothing."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(value is None or contains(new.get(key), value) for key, value in old.items())
    return bool(new == old)


@pytest.fixture(scope="module")
def api_server() -> Store:
    """An API server with the CRDs and no webhook: schema and CEL only."""
    store = Store(clock=lambda: NOW, uids=counting_uids(), suffixes=counting_suffixes())
    for resource in MODELS:
        store.create(CUSTOM_RESOURCE_DEFINITIONS, custom_resource_definition(resource))
    return store


@for_each_kind
@some
@given(data=st.data())
def test_defaulting_twice_is_defaulting_once_and_changes_nothing_that_was_set(
    resource: Resource, data: st.DataObject
) -> None:
    obj = whole(resource, data.draw(spoiled(SPECS[resource])))
    before = json.dumps(obj)
    new = defaulted(resource, obj, "default:1")
    assert json.dumps(obj) == before
    assert patch_for(resource, new, "other:1") == []
    assert contains(new, obj)


@for_each_kind
@some
@given(data=st.data())
def test_the_webhook_fills_in_what_the_schema_does(
    resource: Resource, data: st.DataObject, api_server: Store
) -> None:
    """All but the images, which the schema cannot know."""
    obj = whole(resource, data.draw(SPECS[resource].filter(lambda spec: not needs_cordon(spec))))
    stored = api_server.create(resource, obj, "default", dry_run=True)
    assert without_images(defaulted(resource, obj, "default:1")["spec"], obj["spec"]) == stored["spec"]


@for_each_kind
@some
@given(data=st.data())
def test_what_the_schema_rejects_the_webhook_rejects(
    resource: Resource, data: st.DataObject, api_server: Store
) -> None:
    obj = whole(resource, without_nulls(data.draw(spoiled(SPECS[resource]))))
    refused = ""
    try:
        api_server.create(resource, obj, "default", dry_run=True)
    except StatusError as error:
        refused = str(error)
    assert refused == "" or faults_of(resource, defaulted(resource, obj, "a:1")), refused


@some
@given(spec=spoiled(NODE_OP_SPECS), name=NAMES, node=NAMES)
def test_what_validation_accepts_the_controller_can_run(spec: dict[str, Any], name: str, node: str) -> None:
    obj = defaulted(NODE_OPS, whole(NODE_OPS, spec, name), "a:1")
    if faults_of(NODE_OPS, obj):
        return
    labels = {"a": "true", "node-role.kubernetes.io/control-plane": ""}
    view = parse_node({"metadata": {"name": node, "uid": "2", "labels": labels}, "spec": {}, "status": {}})
    op = parse_node_op(obj)
    images = Images("op:1", "sentinel:1", "a:1")
    snapshot = Snapshot(op, NOW, images, {node: view}, listed=frozenset({node}))
    plan(snapshot)
    bodies = [job(snapshot, node), reboot_pod(snapshot, node)]
    checks = {Role.PREFLIGHT: op.spec.preflight, Role.POSTFLIGHT: op.spec.postflight}
    bodies += [check_pod(snapshot, node, role, check) for role, check in checks.items() if check]
    for body in bodies:
        metadata = json.loads(json.dumps(body))["metadata"]
        assert len(metadata["name"]) <= 63
        assert subdomain_fault(metadata["name"]) == ""
        assert [fault for value in metadata["labels"].values() if (fault := value_fault(value))] == []


@some
@given(spec=spoiled(UPGRADES), name=NAMES)
def test_the_node_op_of_an_upgrade_that_validation_accepts_is_accepted(
    spec: dict[str, Any], name: str
) -> None:
    """The operator's own creates go through the webhooks like everybody's."""
    obj = defaulted(NODE_OP_UPGRADES, whole(NODE_OP_UPGRADES, spec, name), "a:1")
    if faults_of(NODE_OP_UPGRADES, obj):
        return
    body = node_op_body(parse_node_op_upgrade(obj))
    assert faults_of(NODE_OPS, defaulted(NODE_OPS, body, "other:1")) == ()
    assert [fault for value in body["metadata"]["labels"].values() if (fault := value_fault(value))] == []


def test_the_longest_excluded_paths_fit_into_the_node_op_that_is_made_of_them() -> None:
    """Each "$" of theirs is written twice there."""
    paths = ["/" + "$" * 4095] * 16
    assert sum(map(len, paths)) == MAX_EXCLUDED
    obj = whole(NODE_OP_UPGRADES, {"image": "a:1", "excludePaths": paths}, "x")
    assert faults_of(NODE_OP_UPGRADES, obj) == ()
    body = node_op_body(parse_node_op_upgrade(obj))
    assert faults_of(NODE_OPS, body) == ()


@pytest.mark.parametrize("door", [mutate, validate])
@for_each_kind
@some
@given(obj=JSON_VALUES, old=JSON_VALUES, spec=JSON_VALUES)
def test_anything_gets_a_verdict(door: Door, resource: Resource, obj: Any, old: Any, spec: Any) -> None:
    for new, before in [(obj, None), (obj, old), (whole(resource, spec), None), (whole(resource, spec), old)]:
        operation = "UPDATE" if isinstance(before, dict) else "CREATE"
        body = review(node_op(), object=new, oldObject=before, operation=operation, kind=kind_of(resource))
        request = parse(body)
        response = render(request, answer(resource, door, request, Knowledge()))
        assert json.loads(json.dumps(response))["response"]["allowed"] in (True, False)


@some
@given(value=JSON_VALUES)
def test_a_review_is_read_as_json_is(value: Any) -> None:
    """By whichever parser: the numbers keep their types, the text its odd characters, the last of two keys counts."""
    body = review(node_op(), object={"spec": value}).replace(b'"spec"', b'"spec": 7, "spec"')
    assert json.dumps(parse(body).obj) == json.dumps(json.loads(body)["request"]["object"])


@for_each_kind
@some
@given(data=st.data())
def test_both_webhooks_agree(resource: Resource, data: st.DataObject) -> None:
    obj = whole(resource, data.draw(spoiled(SPECS[resource])))
    request = parse(review(obj))
    mutated = render(request, answer(resource, mutate, request, Knowledge()))
    later = parse(review(defaulted(resource, obj, Knowledge().default_image)))
    validated = answer(resource, validate, later, Knowledge())
    assert mutated["response"]["allowed"] == validated.allowed
    assert validated.allowed or patch_in(mutated) == []


def kind_of(resource: Resource) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def needs_cordon(spec: dict[str, Any]) -> bool:
    return bool(spec.get("drainOptions", {}).get("enabled")) and not spec.get("cordon")


def without_nulls(value: Any) -> Any:
    """`value` less the fields that are null, which the API server drops before it looks at anything."""
    if isinstance(value, dict):
        return {key: without_nulls(child) for key, child in value.items() if child is not None}
    return [without_nulls(child) for child in value] if isinstance(value, list) else value


def without_images(spec: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """`spec` less the images that were not given."""
    spec = {key: value for key, value in spec.items() if key != "image" or "image" in given}
    for name in ("preflight", "postflight"):
        if name in given and "image" not in given[name]:
            spec[name] = {key: value for key, value in spec[name].items() if key != "image"}
    return spec
