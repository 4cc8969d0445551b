"""Custom resources: pruning, defaults, validation, rules in CEL, and the project's own kinds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.api import Api
from tests.conformance.manifests import GROUP, widget

OURS = "operator.kairos.io/v1alpha1"
UNCHECKED = ("FieldValueInvalid", "<nil>")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, {"color": "grey", "nested": {"depth": 3}}),
        ({"nested": {"depth": 4}}, {"color": "grey", "nested": {"depth": 4}}),
        ({"color": None, "nested": None, "word": None}, {"color": "grey", "nested": {"depth": 3}}),
        ({"since": None}, {"since": None, "color": "grey", "nested": {"depth": 3}}),
        (
            {"free": {"any": [1]}, "other": 1, "nested": {"x": 1}},
            {"free": {"any": [1]}, "color": "grey", "nested": {"depth": 3}},
        ),
        (
            {"parts": [{"name": "a", "x": 1}]},
            {"parts": [{"name": "a"}], "color": "grey", "nested": {"depth": 3}},
        ),
        (
            {"share": "10%", "labels": {"k": "v"}},
            {"share": "10%", "labels": {"k": "v"}, "color": "grey", "nested": {"depth": 3}},
        ),
    ],
)
async def test_pruning_and_defaults(api: Api, given: dict[str, Any], kept: dict[str, Any]) -> None:
    made = (await api.post(api.path("widgets", group=GROUP), widget(**given))).ok()
    assert made["spec"] == {"size": 5, **kept}


@pytest.mark.parametrize(
    ("given", "causes", "text"),
    [
        (
            {"size": 0},
            [("FieldValueInvalid", "spec.size")],
            "0: spec.size in body should be greater than or equal to 1",
        ),
        (
            {"size": 101},
            [("FieldValueInvalid", "spec.size")],
            "spec.size in body should be less than or equal to 100",
        ),
        (
            {"size": "a"},
            [UNCHECKED, ("FieldValueTypeInvalid", "spec.size")],
            'must be of type integer: "string"',
        ),
        ({"size": None}, [UNCHECKED, ("FieldValueRequired", "spec.size")], "spec.size: Required value"),
        (
            {"color": "x"},
            [UNCHECKED, ("FieldValueNotSupported", "spec.color")],
            '"x": supported values: "grey", "red", "blue"',
        ),
        ({"word": "A"}, None, "spec.word in body should be at least 2 chars long"),
        (
            {"word": "AB"},
            [("FieldValueInvalid", "spec.word")],
            "\"AB\": spec.word in body should match '^[a-z]+$'",
        ),
        (
            {"word": "abcdef"},
            [UNCHECKED, ("FieldValueTooLong", "spec.word")],
            "Too long: may not be more than 5 bytes",
        ),
        (
            {"since": "y"},
            [UNCHECKED, ("FieldValueTypeInvalid", "spec.since")],
            'must be of type date-time: "y"',
        ),
        (
            {"steps": []},
            [("FieldValueInvalid", "spec.steps")],
            "0: spec.steps in body should have at least 1 items",
        ),
        (
            {"parts": [{"name": str(one)} for one in range(4)]},
            [UNCHECKED, ("FieldValueTooMany", "spec.parts")],
            "Too many: 4: must have at most 3 items",
        ),
        (
            {"parts": [{"count": 1}]},
            [UNCHECKED, ("FieldValueRequired", "spec.parts[0].name")],
            "Required value",
        ),
        (
            {"tags": ["a", "a"]},
            [("FieldValueDuplicate", "spec.tags[1]")],
            'spec.tags[1]: Duplicate value: "a"',
        ),
        ({"labels": {"a": 1}}, [UNCHECKED, ("FieldValueTypeInvalid", "spec.labels.a")], '"integer"'),
        (
            {"nested": "x"},
            [UNCHECKED, ("FieldValueTypeInvalid", "spec.nested")],
            'must be of type object: "string"',
        ),
        (
            {"size": 1, "word": "ab"},
            [("FieldValueInvalid", "spec.word")],
            "spec.word: Invalid value: a word needs a size above one",
        ),
    ],
)
async def test_validation(
    api: Api, given: dict[str, Any], causes: list[tuple[str, str]] | None, text: str
) -> None:
    refused = await api.post(api.path("widgets", group=GROUP), widget(**given))
    assert (refused.code, refused.reason) == (422, "Invalid")
    assert causes is None or refused.causes == sorted(causes)
    assert text in refused.message
    assert refused.message.startswith('Widget.conformance.kairos.io "w" is invalid: ')


async def test_all_faults_come_at_once(api: Api) -> None:
    refused = await api.post(api.path("widgets", group=GROUP), widget(size=0, steps=[], tags=["a", "a"]))
    assert {field for _, field in refused.causes} == {"spec.size", "spec.steps", "spec.tags[1]"}


async def test_a_rule_may_ask_for_the_old_value(api: Api) -> None:
    path = api.path("widgets", "w", group=GROUP)
    (await api.post(api.path("widgets", group=GROUP), widget(frozen="a"))).ok()
    (await api.patch(path, {"spec": {"frozen": "a", "size": 6}})).ok()
    refused = await api.patch(path, {"spec": {"frozen": "b"}})
    assert refused.message.endswith('spec.frozen: Invalid value: "b": frozen never changes')


async def test_unknown_fields_are_warned_of_or_refused(api: Api) -> None:
    path = api.path("widgets", group=GROUP)
    body = widget(bogus=1, nested={"deep": 1})
    warned = await api.post(path, body, dryRun="All")
    assert (warned.code, warned.warnings) == (
        201,
        ['299 - "unknown field \\"spec.bogus\\""', '299 - "unknown field \\"spec.nested.deep\\""'],
    )
    assert (await api.post(path, body, dryRun="All", fieldValidation="Ignore")).warnings == []
    strict = await api.post(path, body, fieldValidation="Strict")
    assert (strict.code, strict.reason) == (400, "BadRequest")
    assert strict.message == (
        'Widget in version "v1" cannot be handled as a Widget: strict decoding error: '
        'unknown field "spec.bogus", unknown field "spec.nested.deep"'
    )
    (await api.post(path, widget())).ok()
    patched = await api.patch(f"{path}/w", {"spec": {"bogus": 1}})
    assert patched.warnings == ['299 - "unknown field \\"spec.bogus\\""']


async def test_a_definition_that_contradicts_itself(bare: Api) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    names = {"plural": "gears", "kind": "Gear"}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object"}},
    }
    spec = {"group": "conformance.kairos.io", "scope": "Namespaced", "names": names, "versions": [version]}
    wrong = await bare.post(path, {"metadata": {"name": "cogs.conformance.kairos.io"}, "spec": spec})
    assert ("FieldValueInvalid", "metadata.name") in wrong.causes
    unstored = {**spec, "versions": [{**version, "storage": False}]}
    wrong = await bare.post(path, {"metadata": {"name": "gears.conformance.kairos.io"}, "spec": unstored})
    assert ("FieldValueInvalid", "spec.versions") in wrong.causes


async def test_a_definition_comes_and_goes_with_its_objects(api: Api) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    name = f"gears.{api.space}.kairos.io"
    keeps = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": keeps}}
    names = {"plural": "gears", "kind": "Gear"}
    spec = {"group": f"{api.space}.kairos.io", "scope": "Cluster", "names": names, "versions": [version]}
    (await api.post(path, {"metadata": {"name": name}, "spec": spec})).ok()
    gears = f"/apis/{api.space}.kairos.io/v1/gears"

    async def served() -> bool:
        return (await api.get(gears)).code == 200

    await api.eventually(served)
    body = {"apiVersion": f"{api.space}.kairos.io/v1", "kind": "Gear", "metadata": {"name": "g"}, "any": 1}
    assert (await api.post(gears, body)).ok()["any"] == 1
    assert (await api.patch(f"{gears}/g", {"any": 2})).ok()["metadata"]["generation"] == 2
    (await api.delete(f"{path}/{name}")).ok()
    await api.gone(gears)
    await api.gone(f"{path}/{name}")


def _node_op(**spec: Any) -> dict[str, Any]:
    body = {"command": ["true"], **spec}
    return {"apiVersion": OURS, "kind": "NodeOp", "metadata": {"name": "n"}, "spec": body}


async def test_a_node_op_gets_its_defaults(api: Api) -> None:
    made = (await api.post(api.path("nodeops", group=OURS), _node_op())).ok()["spec"]
    assert (made["backoffLimit"], made["hostMountPath"], made["drainOptions"]["timeoutSeconds"]) == (
        6,
        "/host",
        300,
    )


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"command": []}, "spec.command"),
        ({"concurrency": -1}, "spec.concurrency"),
        ({"drainOptions": {"enabled": True}}, "spec.drainOptions.enabled"),
        ({"hostMountPath": "relative"}, "spec.hostMountPath"),
    ],
)
async def test_a_node_op_is_validated(api: Api, spec: dict[str, Any], field: str) -> None:
    refused = await api.post(api.path("nodeops", group=OURS), _node_op(**spec))
    assert (refused.code, {where for _, where in refused.causes}) == (422, {field})


@pytest.mark.parametrize("plural", ["nodeops", "nodeopupgrades"])
async def test_a_started_operation_keeps_its_spec(api: Api, plural: str) -> None:
    body = _node_op()
    if plural == "nodeopupgrades":
        body = {**body, "kind": "NodeOpUpgrade", "spec": {"image": "quay.io/kairos/x:v1"}}
    (await api.post(api.path(plural, group=OURS), body)).ok()
    path = api.path(plural, "n", group=OURS)
    (await api.patch(path, {"spec": {"concurrency": 2}})).ok()
    (await api.patch(f"{path}/status", {"status": {"phase": "Running"}})).ok()
    refused = await api.patch(path, {"spec": {"concurrency": 3}})
    assert (refused.code, [where for _, where in refused.causes]) == (422, ["spec"])
    assert "phase is Running: the operation has started, so its spec no longer changes" in refused.message
    (await api.patch(path, {"spec": {"concurrency": 2}})).ok()
    (await api.patch(path, {"metadata": {"annotations": {"operator.kairos.io/paused": "true"}}})).ok()
    (await api.patch(f"{path}/status", {"status": {"phase": "Completed"}})).ok()
