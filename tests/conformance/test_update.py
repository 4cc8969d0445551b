"""PUT and PATCH: the optimistic lock, the kinds of patch, and the split between spec and status."""

from __future__ import annotations

from tests.conformance.api import Api
from tests.conformance.manifests import GROUP, config_map, widget

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


async def test_an_old_resource_version_conflicts(api: Api) -> None:
    path = api.path("configmaps", "c")
    first = (await api.post(api.path("configmaps"), config_map())).ok()
    second = (await api.put(path, {**first, "data": {"a": "2"}})).ok()
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    stale = await api.put(path, {**first, "data": {"a": "3"}})
    assert (stale.code, stale.reason) == (409, "Conflict")
    assert stale.message == f'Operation cannot be fulfilled on configmaps "c": {MODIFIED}'
    patched = await api.patch(path, {"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}})
    assert (patched.code, patched.message) == (
        409,
        f'Operation cannot be fulfilled on configmaps "c": {MODIFIED}',
    )


async def test_another_uid_conflicts(api: Api) -> None:
    first = (await api.post(api.path("configmaps"), config_map())).ok()
    uid = first["metadata"]["uid"]
    patched = await api.patch(api.path("configmaps", "c"), {"metadata": {"uid": "other"}})
    assert (patched.code, set(patched.causes)) == (422, {("FieldValueInvalid", "metadata.uid")})
    body = {**config_map(), "metadata": {"name": "c", "uid": "other"}}
    refused = await api.put(api.path("configmaps", "c"), body)
    assert (refused.code, refused.reason) == (409, "Conflict")
    assert f"Precondition failed: UID in precondition: other, UID in object meta: {uid}" in refused.message


async def test_a_put_without_version_overwrites_built_in_kinds_only(api: Api) -> None:
    (await api.post(api.path("configmaps"), config_map())).ok()
    assert (await api.put(api.path("configmaps", "c"), {**config_map(), "data": {"b": "2"}})).ok()[
        "data"
    ] == {"b": "2"}
    path = api.path("widgets", group=GROUP)
    (await api.post(path, widget())).ok()
    refused = await api.put(f"{path}/w", widget(size=6))
    assert (refused.code, refused.causes) == (422, [("FieldValueInvalid", "metadata.resourceVersion")])
    assert refused.message.endswith(
        "metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    )


async def test_a_write_that_changes_nothing_keeps_the_version(api: Api) -> None:
    first = (await api.post(api.path("configmaps"), config_map())).ok()
    assert (await api.put(api.path("configmaps", "c"), first)).ok() == first
    assert (await api.patch(api.path("configmaps", "c"), {"data": {"a": "1"}})).ok() == first


async def test_a_put_to_nothing_is_not_found(api: Api) -> None:
    body = {**widget(), "metadata": {"name": "w", "resourceVersion": "1"}}
    assert (await api.put(api.path("widgets", "w", group=GROUP), body)).code == 404


async def test_merge_patches_follow_rfc_7386(api: Api) -> None:
    path = api.path("configmaps", "c")
    (await api.post(api.path("configmaps"), config_map(labels={"x": "1", "y": "2"}))).ok()
    found = (await api.patch(path, {"data": {"a": None, "b": "2"}, "metadata": {"labels": {"x": None}}})).ok()
    assert (found["data"], found["metadata"]["labels"]) == ({"b": "2"}, {"y": "2"})
    assert "labels" not in (await api.patch(path, {"metadata": {"labels": None}})).ok()["metadata"]


async def test_json_patches(api: Api) -> None:
    path = api.path("widgets", "w", group=GROUP)
    (await api.post(api.path("widgets", group=GROUP), widget(steps=["a", "b"]))).ok()
    operations = [
        {"op": "test", "path": "/spec/size", "value": 5},
        {"op": "replace", "path": "/spec/size", "value": 7},
        {"op": "add", "path": "/spec/steps/1", "value": "c"},
        {"op": "add", "path": "/spec/steps/-", "value": "d"},
        {"op": "remove", "path": "/spec/steps/0"},
        {"op": "add", "path": "/metadata/labels", "value": {}},
        {"op": "add", "path": "/metadata/labels/a~1b", "value": "x"},
        {"op": "copy", "from": "/spec/size", "path": "/spec/nested/depth"},
        {"op": "move", "from": "/spec/nested/depth", "path": "/spec/share"},
    ]
    found = (await api.patch(path, operations, "json-patch+json")).ok()
    assert found["spec"]["steps"] == ["c", "b", "d"]
    assert (found["spec"]["size"], found["spec"]["share"], found["spec"]["nested"]) == (7, 7, {"depth": 3})
    assert found["metadata"]["labels"] == {"a/b": "x"}


async def test_a_json_patch_is_all_or_nothing(api: Api) -> None:
    path = api.path("widgets", "w", group=GROUP)
    (await api.post(api.path("widgets", group=GROUP), widget())).ok()
    change = {"op": "replace", "path": "/spec/size", "value": 7}
    for refused in (
        {"op": "test", "path": "/spec/size", "value": 5},
        {"op": "test", "path": "/spec/none", "value": 5},
        {"op": "remove", "path": "/spec/none"},
        {"op": "add", "path": "/spec/none/below", "value": 1},
    ):
        answer = await api.patch(path, [change, refused], "json-patch+json")
        assert (answer.code, answer.reason) == (422, "Invalid"), answer.body
    assert (await api.get(path)).ok()["spec"]["size"] == 5


async def test_a_json_patch_that_is_none(api: Api) -> None:
    (await api.post(api.path("configmaps"), config_map())).ok()
    assert (await api.patch(api.path("configmaps", "c"), {"a": 1}, "json-patch+json")).code == 400


async def test_strategic_patches_are_for_built_in_kinds(api: Api) -> None:
    (await api.post(api.path("widgets", group=GROUP), widget())).ok()
    refused = await api.patch(api.path("widgets", "w", group=GROUP), {}, "strategic-merge-patch+json")
    assert (refused.code, refused.reason) == (415, "UnsupportedMediaType")
    assert (await api.patch(api.path("widgets", "w", group=GROUP), {}, "json")).code == 415


async def test_strategic_patches_merge_by_key(bare: Api) -> None:
    taint = {"key": "a", "effect": "NoSchedule"}
    body = {"metadata": {"generateName": "conformance-"}, "spec": {"taints": [taint]}}
    name = (await bare.post("/api/v1/nodes", body)).ok()["metadata"]["name"]
    path = f"/api/v1/nodes/{name}"
    kind = "strategic-merge-patch+json"
    found = (
        await bare.patch(path, {"metadata": {"labels": {"x": "1"}}, "spec": {"unschedulable": True}}, kind)
    ).ok()
    assert (found["metadata"]["labels"]["x"], found["spec"]["unschedulable"]) == ("1", True)
    conditions = [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "False"}]
    (await bare.patch(f"{path}/status", {"status": {"conditions": conditions}}, kind)).ok()
    change = {"conditions": [{"type": "Ready", "status": "False", "reason": "Gone"}]}
    found = (await bare.patch(f"{path}/status", {"status": change}, kind)).ok()
    seen = {one["type"]: (one["status"], one.get("reason")) for one in found["status"]["conditions"]}
    assert seen == {"Ready": ("False", "Gone"), "DiskPressure": ("False", None)}
    gone = {"conditions": [{"type": "DiskPressure", "$patch": "delete"}]}
    found = (await bare.patch(f"{path}/status", {"status": gone}, kind)).ok()
    assert [one["type"] for one in found["status"]["conditions"]] == ["Ready"]
    assert (
        "unschedulable" not in (await bare.patch(path, {"spec": {"unschedulable": None}}, kind)).ok()["spec"]
    )
    (await bare.delete(path)).ok()


async def test_a_node_keeps_the_status_it_was_created_with(bare: Api) -> None:
    body = {"metadata": {"generateName": "conformance-"}, "status": {"nodeInfo": {"bootID": "b1"}}}
    made = (await bare.post("/api/v1/nodes", body)).ok()
    path = f"/api/v1/nodes/{made['metadata']['name']}"
    assert made["status"]["nodeInfo"]["bootID"] == "b1"
    assert "generation" not in made["metadata"]
    assert (await bare.patch(path, {"status": {"nodeInfo": {"bootID": "b2"}}})).ok()["status"]["nodeInfo"][
        "bootID"
    ] == "b1"
    found = (await bare.patch(f"{path}/status", {"status": {"nodeInfo": {"bootID": "b2"}}})).ok()
    assert found["status"]["nodeInfo"]["bootID"] == "b2"
    (await bare.delete(path)).ok()


async def test_status_and_spec_are_written_apart(api: Api) -> None:
    path = api.path("widgets", "w", group=GROUP)
    made = (await api.post(api.path("widgets", group=GROUP), {**widget(), "status": {"phase": "Early"}})).ok()
    assert "status" not in made
    assert made["metadata"]["generation"] == 1
    both = {"spec": {"size": 6}, "status": {"phase": "Run"}, "metadata": {"labels": {"a": "b"}}}
    found = (await api.patch(f"{path}/status", both)).ok()
    assert (found["spec"]["size"], found["status"]["phase"]) == (5, "Run")
    assert "labels" not in found["metadata"]
    assert found["metadata"]["generation"] == 1
    found = (await api.patch(path, {**both, "status": {"phase": "Other"}})).ok()
    assert (found["spec"]["size"], found["status"]["phase"]) == (6, "Run")
    assert found["metadata"]["generation"] == 2
    assert (await api.patch(path, {"metadata": {"labels": {"a": "c"}}})).ok()["metadata"]["generation"] == 2
    found = await api.put(f"{path}/status", {**found, "metadata": {"name": "w"}, "status": {"phase": "Done"}})
    assert found.code == 422
    assert (await api.get(f"{path}/status")).ok()["status"]["phase"] == "Run"


async def test_metadata_that_nobody_may_change(api: Api) -> None:
    made = (await api.post(api.path("configmaps"), config_map())).ok()["metadata"]
    change = {"creationTimestamp": "2001-01-01T00:00:00Z", "generation": 9, "selfLink": "x"}
    found = (await api.patch(api.path("configmaps", "c"), {"metadata": change})).ok()["metadata"]
    assert {key: found.get(key) for key in change} == {key: made.get(key) for key in change}
    doomed = await api.patch(
        api.path("configmaps", "c"), {"metadata": {"deletionTimestamp": "2001-01-01T00:00:00Z"}}
    )
    assert (doomed.code, set(doomed.causes)) == (422, {("FieldValueInvalid", "metadata.deletionTimestamp")})
