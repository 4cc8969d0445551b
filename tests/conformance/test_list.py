"""Lists: selectors, order, pages, and the resourceVersion they carry."""

from __future__ import annotations

import pytest

from tests.conformance.api import Api
from tests.conformance.manifests import GROUP, config_map, pod, widget


async def _names(api: Api, plural: str, group: str = "v1", **query: object) -> list[str]:
    body = (await api.get(api.path(plural, group=group), **query)).ok()
    return [one["metadata"]["name"] for one in body["items"]]


async def test_a_list_is_ordered_and_typed(api: Api) -> None:
    for name in ("b", "a", "c"):
        (await api.post(api.path("widgets", group=GROUP), widget(name))).ok()
    body = (await api.get(api.path("widgets", group=GROUP))).ok()
    assert (body["kind"], body["apiVersion"]) == ("WidgetList", GROUP)
    assert [one["metadata"]["name"] for one in body["items"]] == ["a", "b", "c"]
    assert {one["kind"] for one in body["items"]} == {"Widget"}
    newest = max(int(one["metadata"]["resourceVersion"]) for one in body["items"])
    assert int(body["metadata"]["resourceVersion"]) >= newest
    everywhere = (await api.get(api.path("widgets", group=GROUP, space=""))).ok()["items"]
    assert {api.space} <= {one["metadata"]["namespace"] for one in everywhere}


async def test_items_of_built_in_kinds_are_untyped(api: Api) -> None:
    (await api.post(api.path("secrets"), {"metadata": {"name": "s"}})).ok()
    item = (await api.get(api.path("secrets"))).ok()["items"][0]
    assert "kind" not in item
    assert "apiVersion" not in item


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", ["a", "b", "c"]),
        ("tier=web", ["a", "b"]),
        ("tier==web,zone!=x", ["b"]),
        ("tier!=web", ["c"]),
        ("tier in (web, db)", ["a", "b", "c"]),
        ("tier notin (web)", ["c"]),
        ("zone", ["a"]),
        ("!zone", ["b", "c"]),
        ("zone in (x),tier=web", ["a"]),
        ("tier=", []),
    ],
)
async def test_label_selectors(api: Api, selector: str, expected: list[str]) -> None:
    for name, labels in (("a", {"tier": "web", "zone": "x"}), ("b", {"tier": "web"}), ("c", {"tier": "db"})):
        (await api.post(api.path("secrets"), {"metadata": {"name": name, "labels": labels}})).ok()
    assert await _names(api, "secrets", labelSelector=selector) == expected


async def test_selectors_that_cannot_be_read(api: Api) -> None:
    for query in ({"labelSelector": "a b c"}, {"fieldSelector": "spec.nothing=x"}, {"fieldSelector": "x"}):
        refused = await api.get(api.path("pods"), **query)
        assert (refused.code, refused.reason) == (400, "BadRequest")


async def test_field_selectors(api: Api) -> None:
    (await api.post(api.path("pods"), pod("one", node="n1"))).ok()
    (await api.post(api.path("pods"), pod("two", node="n2"))).ok()
    assert await _names(api, "pods", fieldSelector="metadata.name=one") == ["one"]
    assert await _names(api, "pods", fieldSelector="spec.nodeName=n2") == ["two"]
    assert await _names(api, "pods", fieldSelector="spec.nodeName!=n2,status.phase=Pending") == ["one"]
    assert await _names(api, "pods", fieldSelector=f"metadata.namespace!={api.space}") == []
    (await api.post(api.path("widgets", group=GROUP), widget("r", color="red"))).ok()
    (await api.post(api.path("widgets", group=GROUP), widget("g"))).ok()
    assert await _names(api, "widgets", GROUP, fieldSelector="spec.color=red") == ["r"]


async def test_pages_are_one_snapshot(api: Api) -> None:
    for number in range(5):
        (await api.post(api.path("secrets"), {"metadata": {"name": f"s{number}"}})).ok()
    path = api.path("secrets")
    first = (await api.get(path, limit=2)).ok()
    assert first["metadata"]["remainingItemCount"] == 3
    (await api.post(path, {"metadata": {"name": "s9"}})).ok()
    (await api.delete(f"{path}/s3")).ok()
    token = first["metadata"]["continue"]
    second = (await api.get(path, limit=2, **{"continue": token})).ok()
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    third = (await api.get(path, limit=2, **{"continue": second["metadata"]["continue"]})).ok()
    pages = [[one["metadata"]["name"] for one in page["items"]] for page in (first, second, third)]
    assert pages == [["s0", "s1"], ["s2", "s3"], ["s4"]]
    assert "continue" not in third["metadata"]
    again = (await api.get(path, limit=2, **{"continue": token})).ok()
    assert again["items"] == second["items"]


async def test_pages_with_a_selector_do_not_tell_how_many_remain(api: Api) -> None:
    for number in range(3):
        (await api.post(api.path("secrets"), {"metadata": {"name": f"s{number}", "labels": {"a": "b"}}})).ok()
    first = (await api.get(api.path("secrets"), limit=2, labelSelector="a=b")).ok()
    assert first["metadata"]["continue"]
    assert "remainingItemCount" not in first["metadata"]


async def test_a_continue_token_that_is_none(api: Api) -> None:
    assert (await api.get(api.path("secrets"), **{"continue": "bad"})).code == 400


async def test_a_version_from_the_future_times_out(api: Api) -> None:
    refused = await api.get(api.path("configmaps"), resourceVersion="99999999999")
    assert (refused.code, refused.reason) == (504, "Timeout")
    assert refused.causes == [("ResourceVersionTooLarge", "")]


async def test_metadata_alone(api: Api) -> None:
    (await api.post(api.path("configmaps"), config_map("m"))).ok()
    accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    one = (await api.call("GET", api.path("configmaps", "m"), accept=accept)).ok()
    assert (one["kind"], "data" in one, one["metadata"]["name"]) == ("PartialObjectMetadata", False, "m")
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    many = (await api.call("GET", api.path("configmaps"), accept=accept)).ok()
    assert many["kind"] == "PartialObjectMetadataList"
    assert "m" in [one["metadata"]["name"] for one in many["items"]]


async def test_a_collection_is_deleted_by_selector(api: Api) -> None:
    for name, labels in (("a", {"k": "1", "on": "true"}), ("b", {"k": "2", "on": "true"}), ("c", {"k": "1"})):
        (await api.post(api.path("secrets"), {"metadata": {"name": name, "labels": labels}})).ok()
    selector = "k in (1,2,nothing),on=true"
    found = (await api.delete(api.path("secrets"), labelSelector=selector)).ok()
    assert found["kind"] == "SecretList"
    assert [one["metadata"]["name"] for one in found["items"]] == ["a", "b"]
    assert (await api.delete(api.path("secrets"), labelSelector=selector)).ok()["items"] == []
    assert await _names(api, "secrets") == ["c"]
