"""Deletion: what is answered, preconditions, grace, finalizers, and what happens to dependents."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.api import Api
from tests.conformance.manifests import GROUP, config_map, job, owner, pod, widget


async def test_a_deletion_answers_with_a_status(api: Api) -> None:
    made = (await api.post(api.path("widgets", group=GROUP), widget())).ok()
    found = (await api.delete(api.path("widgets", "w", group=GROUP))).ok()
    assert (found["kind"], found["status"]) == ("Status", "Success")
    uid = made["metadata"]["uid"]
    assert found["details"] == {"name": "w", "group": "conformance.kairos.io", "kind": "widgets", "uid": uid}
    missing = await api.delete(api.path("widgets", "w", group=GROUP))
    assert (missing.code, missing.reason) == (404, "NotFound")


async def test_preconditions(api: Api) -> None:
    made = (await api.post(api.path("configmaps"), config_map())).ok()["metadata"]
    path = api.path("configmaps", "c")
    for key, label, real in (
        ("uid", "UID", made["uid"]),
        ("resourceVersion", "ResourceVersion", made["resourceVersion"]),
    ):
        refused = await api.delete(path, {"preconditions": {key: "other"}})
        assert (refused.code, refused.reason) == (409, "Conflict")
        said = f"the {label} in the precondition (other) does not match the {label} in record ({real})"
        assert refused.message.startswith(
            f'Operation cannot be fulfilled on ConfigMap "c": {said}. The object might'
        )
    (
        await api.delete(
            path, {"preconditions": {"uid": made["uid"], "resourceVersion": made["resourceVersion"]}}
        )
    ).ok()


async def test_a_finalizer_keeps_an_object_until_it_is_taken_away(api: Api) -> None:
    path = api.path("widgets", "w", group=GROUP)
    body = widget()
    body["metadata"]["finalizers"] = ["kairos.io/wait", "kairos.io/more"]
    (await api.post(api.path("widgets", group=GROUP), body)).ok()
    marked = (await api.delete(path)).ok()["metadata"]
    assert marked["deletionTimestamp"]
    assert (marked["deletionGracePeriodSeconds"], marked["generation"]) == (0, 2)
    again = (await api.delete(path)).ok()["metadata"]
    assert again["deletionTimestamp"] == marked["deletionTimestamp"]
    (await api.patch(path, {"spec": {"size": 6}})).ok()
    added = await api.patch(path, {"metadata": {"finalizers": ["kairos.io/wait", "kairos.io/late"]}})
    assert (added.code, set(added.causes)) == (422, {("FieldValueForbidden", "metadata.finalizers")})
    text = "no new finalizers can be added if the object is being deleted, found new finalizers "
    text += '[]string{"kairos.io/late"}'
    assert text in added.message
    (await api.patch(path, {"metadata": {"finalizers": ["kairos.io/wait"]}})).ok()
    (await api.patch(path, {"metadata": {"finalizers": None}})).ok()
    assert (await api.get(path)).code == 404


async def test_a_scheduled_pod_gets_its_grace(api: Api) -> None:
    path = api.path("pods", "p")
    (await api.post(api.path("pods"), pod(node="nowhere", terminationGracePeriodSeconds=50))).ok()
    marked = (await api.delete(path)).ok()
    assert (marked["kind"], marked["metadata"]["deletionGracePeriodSeconds"]) == ("Pod", 50)
    shorter = (await api.delete(path, {"gracePeriodSeconds": 20})).ok()["metadata"]
    assert shorter["deletionGracePeriodSeconds"] == 20
    longer = (await api.delete(path, {"gracePeriodSeconds": 40})).ok()["metadata"]
    assert longer["deletionGracePeriodSeconds"] == 20
    (await api.delete(path, {"gracePeriodSeconds": 0})).ok()
    assert (await api.get(path)).code == 404


async def test_pods_that_do_not_run_go_at_once(api: Api) -> None:
    (await api.post(api.path("pods"), pod("waiting", schedulerName="nobody"))).ok()
    (await api.delete(api.path("pods", "waiting"))).ok()
    assert (await api.get(api.path("pods", "waiting"))).code == 404
    (await api.post(api.path("pods"), pod("done", node="nowhere"))).ok()
    (await api.patch(api.path("pods", "done", sub="status"), {"status": {"phase": "Succeeded"}})).ok()
    (await api.delete(api.path("pods", "done"))).ok()
    assert (await api.get(api.path("pods", "done"))).code == 404


async def _family(api: Api, **reference: object) -> None:
    """A parent `w` and two children, of which the second has another parent too."""
    path = api.path("widgets", group=GROUP)
    parent = (await api.post(path, widget())).ok()
    other = (await api.post(path, widget("other"))).ok()
    (await api.post(path, _child("one", owner(parent, **reference)))).ok()
    (await api.post(path, _child("two", owner(parent, **reference), owner(other)))).ok()


def _child(name: str, *owners: dict[str, Any]) -> dict[str, Any]:
    body = widget(name)
    body["metadata"]["ownerReferences"] = list(owners)
    return body


async def _settled(api: Api, expected: set[str]) -> None:
    async def look() -> bool:
        items = (await api.get(api.path("widgets", group=GROUP))).ok()["items"]
        return {one["metadata"]["name"] for one in items} == expected

    await api.eventually(look)


async def test_the_background_takes_what_has_no_owner_left(api: Api) -> None:
    await _family(api)
    (await api.delete(api.path("widgets", "w", group=GROUP), {"propagationPolicy": "Background"})).ok()
    await _settled(api, {"two", "other"})


async def test_the_foreground_takes_the_dependents_first(api: Api) -> None:
    await _family(api, blockOwnerDeletion=True)
    child = api.path("widgets", "one", group=GROUP)
    (await api.patch(child, {"metadata": {"finalizers": ["kairos.io/wait"]}})).ok()
    marked = (
        await api.delete(api.path("widgets", "w", group=GROUP), {"propagationPolicy": "Foreground"})
    ).ok()
    assert marked["metadata"]["finalizers"] == ["foregroundDeletion"]

    async def child_is_going() -> bool:
        return "deletionTimestamp" in (await api.get(child)).ok()["metadata"]

    await api.eventually(child_is_going)
    assert (await api.get(api.path("widgets", "w", group=GROUP))).code == 200
    (await api.patch(child, {"metadata": {"finalizers": None}})).ok()


async def test_orphans_lose_their_owner_and_stay(api: Api) -> None:
    await _family(api)
    (await api.delete(api.path("widgets", "w", group=GROUP), {"propagationPolicy": "Orphan"})).ok()
    await _settled(api, {"one", "two", "other"})
    assert "ownerReferences" not in (await api.get(api.path("widgets", "one", group=GROUP))).ok()["metadata"]
    assert (
        len((await api.get(api.path("widgets", "two", group=GROUP))).ok()["metadata"]["ownerReferences"]) == 1
    )


async def test_a_child_of_nobody_does_not_stay(api: Api) -> None:
    ghost = {
        "apiVersion": GROUP,
        "kind": "Widget",
        "name": "ghost",
        "uid": "11111111-1111-4111-8111-111111111111",
    }
    (await api.post(api.path("widgets", group=GROUP), _child("lost", ghost))).ok()
    await _settled(api, set())


@pytest.mark.parametrize(("policy", "warned"), [("", True), ("Background", False)])
async def test_jobs_orphan_their_pods_unless_told(api: Api, policy: str, warned: bool) -> None:
    (await api.post(api.path("jobs", group="batch/v1"), job())).ok()
    answer = await api.delete(api.path("jobs", "j", group="batch/v1"), propagationPolicy=policy)
    answer.ok()
    assert any("child pods are preserved by default" in text for text in answer.warnings) is warned
    await api.gone(api.path("jobs", "j", group="batch/v1"))


async def test_a_namespace_goes_with_all_that_is_in_it(api: Api) -> None:
    path = f"/api/v1/namespaces/{api.space}"
    assert (await api.get(path)).ok()["status"]["phase"] == "Active"
    body = widget()
    body["metadata"]["finalizers"] = ["kairos.io/wait"]
    (await api.post(api.path("widgets", group=GROUP), body)).ok()
    (await api.delete(path)).ok()
    assert (await api.get(path)).ok()["status"]["phase"] == "Terminating"
    refused = await api.post(api.path("configmaps"), config_map())
    assert (refused.code, refused.reason) == (403, "Forbidden")
    why = f"unable to create new content in namespace {api.space} because it is being terminated"
    assert refused.message == f'configmaps "c" is forbidden: {why}'

    async def widget_is_going() -> bool:
        return "deletionTimestamp" in (await api.get(api.path("widgets", "w", group=GROUP))).ok()["metadata"]

    await api.eventually(widget_is_going)
    (await api.patch(api.path("widgets", "w", group=GROUP), {"metadata": {"finalizers": None}})).ok()
    await api.gone(path)
