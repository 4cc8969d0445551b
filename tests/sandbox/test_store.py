"""The store without HTTP: determinism, sharing, windows, and what it refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kairos_operator.api.resources import CUSTOM_RESOURCE_DEFINITIONS, JOBS, NODES, PODS, SECRETS, Resource
from tests.sandbox.store import StatusError, Store, copy_json, counting_suffixes, counting_uids

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps")
GADGETS = Resource("toys.kairos.io", "v1", "Gadget", "gadgets")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def make(**more: Any) -> Store:
    return Store(clock=Clock(), uids=counting_uids(), suffixes=counting_suffixes(), **more)


def gadgets(schema: dict[str, Any], **version: Any) -> dict[str, Any]:
    """A definition of Gadgets with this schema for spec."""
    root = {"type": "object", "properties": {"spec": schema}}
    served = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": root}, **version}
    names = {"plural": "gadgets", "kind": "Gadget"}
    spec = {"group": "toys.kairos.io", "scope": "Namespaced", "names": names, "versions": [served]}
    return {"metadata": {"name": "gadgets.toys.kairos.io"}, "spec": spec}


def story() -> list[Any]:
    """A short life of a store, as everything that a watch and the answers showed."""
    store = make()
    watch = store.watch(PODS, resource_version=store.resource_version)
    job = store.create(JOBS, {"metadata": {"generateName": "j-"}, "spec": _JOB}, "default")
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": job["metadata"]["name"],
        "uid": job["metadata"]["uid"],
    }
    pod = {"metadata": {"generateName": "p-", "ownerReferences": [owner]}, "spec": _POD}
    store.create(PODS, pod, "default")
    store.delete(JOBS, job["metadata"]["name"], "default", propagation="Background")
    store.collect_garbage()
    return [job, *((event.type, event.object) for event in watch.poll()), store.resource_version]


_POD: dict[str, Any] = {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}
_JOB: dict[str, Any] = {
    "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
}


def test_the_same_calls_give_the_same_objects() -> None:
    assert story() == story()
    assert [entry[0] for entry in story()[1:-1]] == ["ADDED", "MODIFIED"]


def test_what_is_passed_in_is_copied_and_what_comes_out_is_shared() -> None:
    store = make()
    body: dict[str, Any] = {"metadata": {"name": "c", "labels": {"a": "1"}}, "data": {"k": "v"}}
    store.create(CONFIG_MAPS, body, "default")
    body["data"]["k"] = "changed"
    found = store.get(CONFIG_MAPS, "c", "default")
    assert found["data"] == {"k": "v"}
    assert store.get(CONFIG_MAPS, "c", "default") is found
    before = copy_json(found)
    store.patch(CONFIG_MAPS, "c", {"data": {"k": "2"}, "metadata": {"labels": {"a": "2"}}}, "default")
    store.patch(CONFIG_MAPS, "c", [{"op": "add", "path": "/data/x", "value": "3"}], "default", kind="json")
    assert found == before


def test_time_comes_from_the_clock_alone() -> None:
    clock = Clock()
    store = Store(clock=clock, uids=counting_uids(), suffixes=counting_suffixes())
    clock.now += timedelta(hours=5)
    store.create(PODS, {"metadata": {"name": "p"}, "spec": _POD}, "default")
    marked = store.delete(PODS, "p", "default", grace_period_seconds=90)["metadata"]
    assert marked["creationTimestamp"] == "2026-01-01T05:00:00Z"
    assert marked["deletionTimestamp"] == "2026-01-01T05:01:30Z"


def test_versions_count_every_commit_and_nothing_else() -> None:
    store = make()
    before = int(store.resource_version)
    store.create(NODES, {"metadata": {"name": "n"}})
    store.create(NODES, {"metadata": {"name": "m"}}, dry_run=True)
    store.patch(NODES, "n", {"spec": {}})
    with pytest.raises(StatusError):
        store.create(NODES, {"metadata": {"name": "n"}})
    assert int(store.resource_version) == before + 1


def test_a_watch_that_falls_out_of_the_window_expires() -> None:
    store = make(history=5)
    watch = store.watch(SECRETS, resource_version=store.resource_version)
    for number in range(20):
        store.create(SECRETS, {"metadata": {"name": f"s{number}"}}, "default")
    with pytest.raises(StatusError) as refused:
        watch.poll()
    assert (refused.value.code, refused.value.reason) == (410, "Expired")


def test_a_watch_says_when_to_look_and_stops_when_closed() -> None:
    store, calls = make(), list[str]()
    watch = store.watch(SECRETS, "default", resource_version=store.resource_version)
    watch.on_event = lambda: calls.append("now")
    store.create(SECRETS, {"metadata": {"name": "s"}}, "default")
    store.create(CONFIG_MAPS, {"metadata": {"name": "c"}}, "default")
    assert calls == ["now"]
    assert [event.type for event in watch.poll()] == ["ADDED"]
    assert watch.poll() == []
    watch.close()
    store.delete(SECRETS, "s", "default")
    assert calls == ["now"]


def test_a_bookmark_is_a_place_to_go_on_from() -> None:
    store = make()
    watch = store.watch(SECRETS, resource_version=store.resource_version)
    store.create(CONFIG_MAPS, {"metadata": {"name": "c"}}, "default")
    watch.poll()
    version = watch.bookmark().object["metadata"]["resourceVersion"]
    assert version == store.resource_version
    store.create(SECRETS, {"metadata": {"name": "s"}}, "default")
    assert len(store.watch(SECRETS, resource_version=version).poll()) == 1


def test_old_continue_tokens_expire() -> None:
    store = make()
    for number in range(3):
        store.create(SECRETS, {"metadata": {"name": f"s{number}"}}, "default")
    page = store.list(SECRETS, limit=2)
    store.expire_continues()
    with pytest.raises(StatusError) as refused:
        store.list(SECRETS, limit=2, continue_token=page.continue_token)
    assert (refused.value.code, refused.value.reason) == (410, "Expired")


@pytest.mark.parametrize(
    ("schema", "version", "what"),
    [
        ({"type": "object", "anyOf": [{}]}, {}, "anyOf in the schema at .spec"),
        (
            {"type": "string", "x-kubernetes-validations": [{"rule": "self.lowerAscii() == 'a'"}]},
            {},
            "lowerAscii",
        ),
        (
            {"type": "string", "x-kubernetes-validations": [{"rule": "other == 'a'"}]},
            {},
            "undeclared reference",
        ),
        (
            {"type": "string", "x-kubernetes-validations": [{"rule": "self ==", "message": "m"}]},
            {},
            "ends too early",
        ),
        (
            {"type": "object"},
            {"additionalPrinterColumns": [{"name": "a", "type": "string", "jsonPath": "..x"}]},
            "column",
        ),
    ],
)
def test_a_definition_that_asks_for_too_much_is_refused(
    schema: dict[str, Any], version: dict[str, Any], what: str
) -> None:
    with pytest.raises(StatusError) as refused:
        make().create(CUSTOM_RESOURCE_DEFINITIONS, gadgets(schema, **version))
    assert (refused.value.code, refused.value.reason) == (501, "NotImplemented")
    assert what in str(refused.value)


def test_an_unknown_resource_is_not_found() -> None:
    with pytest.raises(StatusError) as refused:
        make().list(GADGETS)
    assert refused.value.code == 404


def test_managed_fields_are_kept_when_asked_for_and_after_an_apply() -> None:
    quiet, full = make(), make(track_field_managers=True)
    body = {"metadata": {"name": "c"}, "data": {"k": "v"}}
    assert "managedFields" not in quiet.create(CONFIG_MAPS, body, "default")["metadata"]
    assert (
        full.create(CONFIG_MAPS, body, "default", field_manager="m")["metadata"]["managedFields"][0][
            "manager"
        ]
        == "m"
    )
    wanted = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "w"}}
    with pytest.raises(StatusError, match="before-first-apply"):
        quiet.patch(CONFIG_MAPS, "c", wanted, "default", kind="apply", field_manager="a")
    quiet.patch(CONFIG_MAPS, "c", wanted, "default", kind="apply", field_manager="a", force=True)
    found = quiet.patch(CONFIG_MAPS, "c", {"data": {"k": "x"}}, "default", field_manager="b")
    assert {one["manager"] for one in found["metadata"]["managedFields"]} == {"b"}


def test_an_idle_garbage_collection_changes_nothing() -> None:
    store = make()
    store.create(NODES, {"metadata": {"name": "n"}})
    before = store.resource_version
    assert (store.collect_garbage(), store.resource_version) == (0, before)
