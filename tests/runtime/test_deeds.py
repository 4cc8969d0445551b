"""What a delete's answer makes of the cache: the object is marked, or gone, and never asked to go twice."""

from __future__ import annotations

from typing import Any, cast

import pytest

from kairos_operator.api.names import MAX_NAME, Role, shortened
from kairos_operator.api.objects import Meta
from kairos_operator.api.resources import NODE_OPS, PODS, Resource
from kairos_operator.core.actions import Delete, DeleteChecks
from kairos_operator.runtime.caches import Caches
from kairos_operator.runtime.client import Client, Listing
from kairos_operator.runtime.deeds import Deeds
from kairos_operator.runtime.errors import ApiError, Conflict, Forbidden, NotFound

OP = Meta("op", "default", "u", "9")
ENDING = "2026-01-02T03:04:05Z"


def _pod(uid: str = "u", version: str = "3", **meta: Any) -> dict[str, Any]:
    known = {"name": "check", "namespace": "default", "uid": uid, "resourceVersion": version}
    return {"kind": "Pod", "metadata": {**known, **meta}, "spec": {}, "status": {}}


class _Client:
    def __init__(self, answer: dict[str, Any] | ApiError) -> None:
        self.answer = answer

    async def delete_collection(self, res: Resource, namespace: str, *, label_selector: str) -> Listing:
        self.selector = label_selector
        if isinstance(self.answer, ApiError):
            raise self.answer
        return Listing([self.answer], "9")

    async def delete(self, res: Resource, name: str, namespace: str, *, uid: str) -> dict[str, Any]:
        if isinstance(self.answer, ApiError):
            raise self.answer
        return self.answer


async def _after(answer: dict[str, Any] | ApiError, known: dict[str, Any]) -> Caches:
    caches = Caches.empty()
    caches.pods.observed(known)
    deeds = Deeds(cast("Client", _Client(answer)), caches)
    await deeds.do(NODE_OPS, OP, Delete(PODS, "check", "u", "n1"))
    return caches


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"kind": "Status", "status": "Success"}, id="gone at once, and a Status says so"),
        pytest.param(_pod(), id="gone at once, and its last state is returned"),
        pytest.param(NotFound(404, "NotFound", "no check"), id="gone before"),
        pytest.param(Conflict(409, "Conflict", "another uid"), id="another pod has its name"),
    ],
)
async def test_what_is_gone_is_in_the_cache_no_more(answer: dict[str, Any] | ApiError) -> None:
    assert (await _after(answer, _pod())).pods.get("check", "default") is None


async def test_what_ends_in_its_own_time_is_known_to_be_ending() -> None:
    caches = await _after(_pod(version="4", deletionTimestamp=ENDING), _pod())
    found = caches.pods.get("check", "default")
    assert found is not None
    assert found.deleting_since is not None


async def test_another_pod_of_that_name_stays_in_the_cache() -> None:
    caches = await _after({"kind": "Status", "status": "Success"}, _pod(uid="another", version="8"))
    assert caches.pods.get("check", "default") is not None


async def test_a_refused_delete_changes_nothing() -> None:
    caches = Caches.empty()
    caches.pods.observed(_pod())
    deeds = Deeds(cast("Client", _Client(Forbidden(403, "Forbidden", "no"))), caches)
    with pytest.raises(Forbidden):
        await deeds.do(NODE_OPS, OP, Delete(PODS, "check", "u", "n1"))
    assert caches.pods.get("check", "default") is not None


@pytest.mark.parametrize("lacking", ["resourceVersion", "name"])
async def test_an_answer_without_a_version_or_name_changes_nothing(lacking: str) -> None:
    """The answer of a real API server that ended the controller's chain with a KeyError."""
    answer = _pod(version="4", deletionTimestamp=ENDING)
    answer["metadata"].pop(lacking)
    found = (await _after(answer, _pod())).pods.get("check", "default")
    assert found is not None
    assert found.deleting_since is None


async def _after_many(answer: dict[str, Any] | ApiError) -> tuple[Caches, str]:
    caches, client = Caches.empty(), _Client(answer)
    long = "n2." * 80
    for name, uid in (("check", "u"), ("other", "v"), ("kept", "w")):
        pod = _pod(uid)
        caches.pods.observed({**pod, "metadata": {**pod["metadata"], "name": name}})
    deeds = Deeds(cast("Client", client), caches)
    pods = (("n1", "check", "u"), (long, "other", "v"))
    await deeds.do(NODE_OPS, OP, DeleteChecks(Role.PREFLIGHT, pods))
    return caches, client.selector


async def test_many_check_pods_are_named_by_the_labels_that_they_have() -> None:
    _, selector = await _after_many(_pod())
    long = shortened("n2." * 80)
    assert selector == f"kairos.io/nodeop=op,kairos.io/node in (n1,{long}),kairos.io/preflight=true"
    assert all(len(word) <= MAX_NAME for word in selector.partition("(")[2].partition(")")[0].split(","))


async def test_those_that_are_gone_are_in_the_cache_no_more_and_those_that_end_are_known_to() -> None:
    caches, _ = await _after_many(_pod(version="4", deletionTimestamp=ENDING))
    ending = caches.pods.get("check", "default")
    assert ending is not None
    assert ending.deleting_since is not None
    assert caches.pods.get("other", "default") is None  # no selector found it: it was gone before
    assert caches.pods.get("kept", "default") is not None


async def test_a_refused_delete_of_many_changes_nothing() -> None:
    with pytest.raises(Forbidden):
        await _after_many(Forbidden(403, "Forbidden", "no"))
