"""Server-side apply: ownership, conflicts, force, and fields that are no longer applied."""

from __future__ import annotations

from typing import Any

from tests.conformance.api import Api
from tests.conformance.manifests import GROUP, config_map, widget


def _path(api: Api, sub: str = "") -> str:
    return api.path("widgets", "w", group=GROUP, sub=sub)


async def test_an_apply_creates_and_then_changes_nothing(api: Api) -> None:
    made = await api.apply(_path(api), widget(parts=[{"name": "a", "count": 1}]), "one")
    assert made.code == 201
    entry = made.body["metadata"]["managedFields"][0]
    assert (entry["manager"], entry["operation"], entry["apiVersion"]) == ("one", "Apply", GROUP)
    item = entry["fieldsV1"]["f:spec"]["f:parts"]['k:{"name":"a"}']
    assert item == {".": {}, "f:name": {}, "f:count": {}}
    again = await api.apply(_path(api), widget(parts=[{"name": "a", "count": 1}]), "one")
    assert (again.code, again.body) == (200, made.body)


async def test_an_apply_needs_a_manager_and_a_kind(api: Api) -> None:
    nobody = await api.apply(_path(api), widget(), "")
    assert (nobody.code, nobody.causes) == (422, [("FieldValueRequired", "fieldManager")])
    untyped = await api.apply(_path(api), {"metadata": {"name": "w"}, "spec": {"size": 5}}, "one")
    assert untyped.code == 400
    claimed = {**widget(), "metadata": {"name": "w", "managedFields": [{"manager": "x"}]}}
    assert (await api.apply(_path(api), claimed, "one")).code == 400


async def test_an_undeclared_field_is_refused(api: Api) -> None:
    refused = await api.apply(_path(api), widget(bogus=1), "one")
    assert refused.code == 500
    assert refused.message.endswith(".spec.bogus: field not declared in schema")


async def test_who_wants_another_value_conflicts(api: Api) -> None:
    (await api.apply(_path(api), widget(parts=[{"name": "a", "count": 1}]), "one")).ok()
    refused = await api.apply(_path(api), widget(parts=[{"name": "a", "count": 2}]), "two")
    field = '.spec.parts[name="a"].count'
    assert (refused.code, refused.reason) == (409, "Conflict")
    assert refused.message == f'Apply failed with 1 conflict: conflict with "one": {field}'
    assert refused.causes == [("FieldManagerConflict", field)]
    many = await api.apply(_path(api), widget(size=6, parts=[{"name": "a", "count": 2}]), "two")
    assert many.message == f'Apply failed with 2 conflicts: conflicts with "one":\n- .spec.size\n- {field}'
    same = (await api.apply(_path(api), widget(parts=[{"name": "a", "count": 1}]), "two")).ok()
    assert {one["manager"] for one in same["metadata"]["managedFields"]} == {"one", "two"}


async def test_force_takes_over(api: Api) -> None:
    (await api.apply(_path(api), widget(labels={"k": "1"}), "one")).ok()
    forced = (await api.apply(_path(api), widget(labels={"k": "2"}), "two", force="true")).ok()
    assert forced["spec"]["labels"] == {"k": "2"}
    (await api.apply(_path(api), widget(), "one")).ok()
    assert (await api.get(_path(api))).ok()["spec"]["labels"] == {"k": "2"}


async def test_what_is_no_longer_applied_goes_away(api: Api) -> None:
    first = widget(
        parts=[{"name": "a", "count": 1, "note": "x"}, {"name": "b"}], tags=["x", "y"], labels={"k": "1"}
    )
    (await api.apply(_path(api), first, "one")).ok()
    found = (await api.apply(_path(api), widget(parts=[{"name": "a", "note": "x"}], tags=["y"]), "one")).ok()[
        "spec"
    ]
    assert (found["parts"], found["tags"]) == ([{"name": "a", "note": "x"}], ["y"])
    assert "labels" not in found


async def test_what_another_owns_too_stays(api: Api) -> None:
    (await api.apply(_path(api), widget(parts=[{"name": "a", "count": 1}], tags=["x"]), "one")).ok()
    (await api.apply(_path(api), widget(parts=[{"name": "a", "note": "n"}], tags=["y"]), "two")).ok()
    found = (await api.apply(_path(api), widget(), "one")).ok()["spec"]
    assert (found["parts"], found["tags"]) == ([{"name": "a", "note": "n"}], ["y"])


async def test_updates_own_what_they_change(api: Api) -> None:
    (await api.post(api.path("widgets", group=GROUP), widget(labels={"k": "1"}), fieldManager="maker")).ok()
    refused = await api.apply(_path(api), widget(labels={"k": "2"}), "one")
    assert refused.code == 409
    assert refused.body["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "maker" using {GROUP}',
            "field": ".spec.labels.k",
        }
    ]
    (await api.apply(_path(api), widget(labels={"k": "1"}), "one")).ok()
    (await api.patch(_path(api), {"spec": {"labels": {"k": "3"}}}, fieldManager="patcher")).ok()
    refused = await api.apply(_path(api), widget(labels={"k": "1"}), "one")
    assert f'conflict with "patcher" using {GROUP}' in refused.message


async def test_conditions_are_applied_by_type(api: Api) -> None:
    (await api.post(api.path("widgets", group=GROUP), widget())).ok()

    async def say(manager: str, *conditions: dict[str, str]) -> Any:
        body = {"apiVersion": GROUP, "kind": "Widget", "status": {"conditions": list(conditions)}}
        return (await api.apply(_path(api, "status"), body, manager)).ok()

    await say("one", {"type": "A", "status": "True"})
    found = await say("two", {"type": "B", "status": "True"})
    assert [one["type"] for one in found["status"]["conditions"]] == ["A", "B"]
    found = await say("one", {"type": "A", "status": "False"})
    assert {one["type"]: one["status"] for one in found["status"]["conditions"]} == {
        "A": "False",
        "B": "True",
    }
    owners = {one["manager"]: one.get("subresource") for one in found["metadata"]["managedFields"]}
    assert owners == {"one": "status", "two": "status", "conformance": None}


async def test_built_in_kinds_too(api: Api) -> None:
    path = api.path("configmaps", "c")
    (await api.apply(path, config_map(labels={"a": "1"}), "one")).ok()
    bare = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    assert (await api.apply(path, {**bare, "data": {"b": "2"}}, "two")).ok()["data"] == {"a": "1", "b": "2"}
    found = (await api.apply(path, bare, "one")).ok()
    assert found["data"] == {"b": "2"}
    assert "labels" not in found["metadata"]


async def test_owners_and_finalizers_are_merged(api: Api) -> None:
    (await api.post(api.path("configmaps"), config_map(finalizers=["kairos.io/a"]))).ok()
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "finalizers": ["kairos.io/b"]}}
    found = (await api.apply(api.path("configmaps", "c"), body, "one")).ok()
    assert sorted(found["metadata"]["finalizers"]) == ["kairos.io/a", "kairos.io/b"]
    found = (await api.apply(api.path("configmaps", "c"), {**body, "metadata": {"name": "c"}}, "one")).ok()
    assert found["metadata"]["finalizers"] == ["kairos.io/a"]
    (await api.patch(api.path("configmaps", "c"), {"metadata": {"finalizers": None}})).ok()


async def test_a_dry_run_applies_nothing(api: Api) -> None:
    assert (await api.apply(_path(api), widget(), "one", dryRun="All")).code == 201
    assert (await api.get(_path(api))).code == 404
