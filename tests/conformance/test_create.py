"""Creating and reading objects, and how both are refused."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conformance.api import Api
from tests.conformance.manifests import GROUP, config_map, widget


async def test_the_server_fills_in_metadata(api: Api) -> None:
    body = config_map(uid="mine", creationTimestamp="2001-01-01T00:00:00Z", selfLink="x")
    made = (await api.post(api.path("configmaps"), body)).ok()
    metadata = made["metadata"]
    assert metadata["uid"] != "mine"
    assert metadata["creationTimestamp"] > "2020"
    assert metadata["namespace"] == api.space
    assert "generation" not in metadata
    assert int(metadata["resourceVersion"]) > 0
    assert (await api.get(api.path("configmaps", "c"))).ok() == made


async def test_a_create_answers_201_and_the_same_name_again_409(api: Api) -> None:
    assert (await api.post(api.path("configmaps"), config_map())).code == 201
    again = await api.post(api.path("configmaps"), config_map())
    assert (again.code, again.reason) == (409, "AlreadyExists")
    assert again.message == 'configmaps "c" already exists'
    assert again.body["details"] == {"name": "c", "kind": "configmaps"}


async def test_an_object_that_is_not_there(api: Api) -> None:
    missing = await api.get(api.path("widgets", "w", group=GROUP))
    assert (missing.code, missing.reason) == (404, "NotFound")
    assert missing.message == 'widgets.conformance.kairos.io "w" not found'
    assert missing.body["details"] == {"name": "w", "group": "conformance.kairos.io", "kind": "widgets"}


async def test_generate_name_makes_a_name_that_fits(api: Api) -> None:
    base = "x" * 70
    for prefix, start in (("up-", "up-"), (base, base[:58])):
        made = (await api.post(api.path("configmaps"), {"metadata": {"generateName": prefix}})).ok()
        name = made["metadata"]["name"]
        assert re.fullmatch(re.escape(start) + "[bcdfghjklmnpqrstvwxz2456789]{5}", name)
        assert made["metadata"]["generateName"] == prefix


async def test_an_object_needs_a_name(api: Api) -> None:
    refused = await api.post(api.path("configmaps"), {"metadata": {}})
    assert (refused.code, refused.causes) == (422, [("FieldValueRequired", "metadata.name")])
    assert refused.message == (
        'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required'
    )


@pytest.mark.parametrize(
    ("plural", "group", "name"),
    [
        ("configmaps", "v1", "Upper"),
        ("configmaps", "v1", "a" * 254),
        ("widgets", GROUP, "a_b"),
        ("secrets", "v1", "-a"),
    ],
)
async def test_names_are_dns_subdomains(api: Api, plural: str, group: str, name: str) -> None:
    body = {**widget(), "metadata": {"name": name}} if group == GROUP else {"metadata": {"name": name}}
    refused = await api.post(api.path(plural, group=group), body)
    assert (refused.code, refused.reason) == (422, "Invalid")
    assert ("FieldValueInvalid", "metadata.name") in refused.causes


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({"labels": {"a": "not legal"}}, "metadata.labels"),
        ({"labels": {"a": "x" * 64}}, "metadata.labels"),
        ({"labels": {"a/b/c": "x"}}, "metadata.labels"),
        ({"labels": {"": "x"}}, "metadata.labels"),
        ({"annotations": {"not legal": "x"}}, "metadata.annotations"),
        ({"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": ""}]}, None),
    ],
)
async def test_metadata_is_validated(api: Api, metadata: dict[str, Any], field: str | None) -> None:
    refused = await api.post(api.path("configmaps"), config_map(**metadata))
    assert (refused.code, refused.reason) == (422, "Invalid")
    assert {where for _, where in refused.causes} == {field or "metadata.ownerReferences.uid"}


async def test_what_the_body_says_must_match_the_url(api: Api) -> None:
    path = api.path("configmaps")
    other_space = await api.post(path, config_map(namespace="elsewhere"))
    assert other_space.code == 400
    assert (
        other_space.message
        == "the namespace of the provided object does not match the namespace sent on the request"
    )
    other_version = await api.post(path, {**config_map(), "apiVersion": "v2"})
    assert other_version.code == 400
    other_name = await api.put(api.path("configmaps", "d"), config_map())
    assert other_name.code == 400
    assert other_name.message == "the name of the object (c) does not match the name on the URL (d)"


async def test_a_resource_version_has_no_place_in_a_create(api: Api) -> None:
    refused = await api.post(api.path("configmaps"), config_map(resourceVersion="1"))
    assert (refused.code, refused.message) == (
        500,
        "resourceVersion should not be set on objects to be created",
    )


async def test_a_namespace_must_exist(api: Api) -> None:
    refused = await api.post(api.path("configmaps", space="no-such-space"), config_map())
    assert (refused.code, refused.message) == (404, 'namespaces "no-such-space" not found')


async def test_dry_run_persists_nothing(api: Api) -> None:
    path = api.path("widgets", group=GROUP)
    made = await api.post(path, widget(), dryRun="All")
    assert made.code == 201
    assert made.body["spec"]["color"] == "grey"
    assert made.body["metadata"]["uid"]
    assert (await api.get(f"{path}/w")).code == 404
    assert (await api.post(path, widget(), dryRun="Some")).code == 422
    (await api.post(path, widget())).ok()
    changed = await api.patch(f"{path}/w", {"spec": {"size": 6}}, dryRun="All")
    assert changed.ok()["spec"]["size"] == 6
    (await api.delete(f"{path}/w", dryRun="All")).ok()
    assert (await api.get(f"{path}/w")).ok()["spec"]["size"] == 5


async def test_yaml_is_read_too(api: Api) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: plain\ndata:\n  k: v\n"
    made = await api.call("POST", api.path("configmaps"), text, media="application/yaml")
    assert made.ok()["data"] == {"k": "v"}


async def test_bodies_that_cannot_be_read(api: Api) -> None:
    assert (await api.call("POST", api.path("configmaps"), "{", media="application/json")).code == 400
    assert (await api.call("POST", api.path("configmaps"), "x", media="text/plain")).code == 415


async def test_who_has_no_token_stays_outside(api: Api) -> None:
    stranger = await api.call("GET", api.path("configmaps"), token="nobody")
    assert (stranger.code, stranger.reason, stranger.message) == (401, "Unauthorized", "Unauthorized")


async def test_a_secret_takes_plain_text(api: Api) -> None:
    body = {"metadata": {"name": "s"}, "stringData": {"k": "v"}}
    made = (await api.post(api.path("secrets"), body)).ok()
    assert (made["data"], made["type"]) == ({"k": "dg=="}, "Opaque")
    assert "stringData" not in made
