"""What a delete's answer makes of the cache: the object is marked, or gone, and never asked to go twice."""

from __future__ import annotations

from typing import Any, cast

import pytest

from kairos_operator.api.objects import Meta
from kairos_operator.api.resources import NODE_OPS, PODS, Resource
from kairos_operator.core.actions import Delete
from kairos_operator.runtime.caches import Caches
from kairos_operator.runtime.client import Client
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
