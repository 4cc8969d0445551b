"""Watches: order, selectors, versions, bookmarks, initial events and expiry."""

from __future__ import annotations

from typing import Any

from tests.conformance.api import Api
from tests.conformance.manifests import GROUP, widget


async def _version(api: Api, plural: str = "secrets") -> str:
    version: str = (await api.get(api.path(plural))).ok()["metadata"]["resourceVersion"]
    return version


def _secret(name: str = "s", **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}}


async def test_changes_come_in_order_from_a_version(api: Api) -> None:
    path, since = api.path("secrets"), await _version(api)
    made = (await api.post(path, _secret())).ok()
    changed = (await api.patch(f"{path}/s", {"metadata": {"labels": {"a": "b"}}})).ok()
    (await api.delete(f"{path}/s")).ok()
    async with api.watch(path, resourceVersion=since) as events:
        assert await events.next() == ("ADDED", made)
        assert await events.next() == ("MODIFIED", changed)
        kind, last = await events.next()
        assert (kind, last["metadata"]["uid"]) == ("DELETED", made["metadata"]["uid"])
        assert int(last["metadata"]["resourceVersion"]) > int(changed["metadata"]["resourceVersion"])
        (await api.post(path, _secret("t"))).ok()
        assert (await events.next())[1]["metadata"]["name"] == "t"
    async with api.watch(path, resourceVersion=changed["metadata"]["resourceVersion"]) as events:
        assert (await events.next())[0] == "DELETED"


async def test_without_a_version_the_present_comes_first(api: Api) -> None:
    path = api.path("secrets")
    for name in ("a", "b"):
        (await api.post(path, _secret(name))).ok()
    for version in ({}, {"resourceVersion": "0"}):
        async with api.watch(path, **version) as events:
            found = [await events.next(), await events.next()]
            assert {(kind, obj["metadata"]["name"]) for kind, obj in found} == {
                ("ADDED", "a"),
                ("ADDED", "b"),
            }
            assert {(obj["kind"], obj["apiVersion"]) for _, obj in found} == {("Secret", "v1")}


async def test_an_object_enters_and_leaves_a_selector(api: Api) -> None:
    path, since = api.path("secrets"), await _version(api)
    async with api.watch(path, resourceVersion=since, labelSelector="on=yes") as events:
        (await api.post(path, _secret())).ok()
        (await api.patch(f"{path}/s", {"metadata": {"labels": {"on": "yes"}}})).ok()
        assert (await events.next())[0] == "ADDED"
        (await api.patch(f"{path}/s", {"metadata": {"labels": {"x": "1"}}})).ok()
        assert (await events.next())[0] == "MODIFIED"
        left = (await api.patch(f"{path}/s", {"metadata": {"labels": {"on": "no"}}})).ok()
        kind, obj = await events.next()
        assert (kind, obj["metadata"]["labels"]["on"]) == ("DELETED", "yes")
        assert obj["metadata"]["resourceVersion"] == left["metadata"]["resourceVersion"]
        (await api.delete(f"{path}/s")).ok()
        (await api.post(path, _secret("t", on="yes"))).ok()
        kind, obj = await events.next()
        assert (kind, obj["metadata"]["name"]) == ("ADDED", "t")


async def test_one_object_by_field_selector(api: Api) -> None:
    path, since = api.path("widgets", group=GROUP), ""
    since = (await api.get(path)).ok()["metadata"]["resourceVersion"]
    async with api.watch(path, resourceVersion=since, fieldSelector="metadata.name=b") as events:
        (await api.post(path, widget("a"))).ok()
        (await api.post(path, widget("b"))).ok()
        kind, obj = await events.next()
        assert (kind, obj["metadata"]["name"]) == ("ADDED", "b")


async def test_initial_events_end_with_a_bookmark(api: Api) -> None:
    path = api.path("widgets", group=GROUP)
    (await api.post(path, widget("a"))).ok()
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    async with api.watch(path, **query) as events:
        assert (await events.next())[0] == "ADDED"
        kind, mark = await events.next()
        assert kind == "BOOKMARK"
        assert (mark["kind"], mark["apiVersion"]) == ("Widget", GROUP)
        assert mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        since = mark["metadata"]["resourceVersion"]
    (await api.post(path, widget("b"))).ok()
    async with api.watch(path, resourceVersion=since) as events:
        assert (await events.next())[1]["metadata"]["name"] == "b"


async def test_initial_events_need_a_version_match(api: Api) -> None:
    path = api.path("widgets", group=GROUP)
    for query in ({"sendInitialEvents": "true"}, {"resourceVersionMatch": "NotOlderThan"}):
        refused = await api.get(path, watch="true", **query)
        assert (refused.code, refused.reason) == (422, "Invalid")


async def test_a_version_that_is_too_old_expires_inside_the_stream(api: Api) -> None:
    async with api.watch(api.path("widgets", group=GROUP), resourceVersion="1") as events:
        kind, status = await events.next()
        assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
        assert status["message"].startswith("too old resource version: 1 (")
        assert await events.ended()


async def test_a_watch_ends_at_its_timeout(api: Api) -> None:
    async with api.watch(
        api.path("secrets"), resourceVersion=await _version(api), timeoutSeconds=1
    ) as events:
        assert await events.ended()


async def test_a_version_that_is_no_number(api: Api) -> None:
    refused = await api.get(api.path("secrets"), watch="true", resourceVersion="abc")
    assert refused.code == 500
    assert refused.message.startswith('resourceVersion: Invalid value: "abc"')
