"""The eviction subresource and disruption budgets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.api import Answer, Api
from tests.conformance.manifests import pod

REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


async def _running(api: Api, *names: str, ready: bool = True) -> None:
    for name in names:
        (await api.post(api.path("pods"), pod(name, node="nowhere", labels={"app": "x"}))).ok()
        conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
        status = {"status": {"phase": "Running", "conditions": conditions}}
        (await api.patch(api.path("pods", name, sub="status"), status)).ok()


async def _budget(api: Api, healthy: int, **spec: Any) -> None:
    """A budget over the pods labelled app=x; waits until the real controller has counted them."""
    path = api.path("poddisruptionbudgets", group="policy/v1")
    body = {"metadata": {"name": "b"}, "spec": {"selector": {"matchLabels": {"app": "x"}}, **spec}}
    (await api.post(path, body)).ok()

    async def counted() -> bool:
        status = (await api.get(f"{path}/b")).ok().get("status") or {}
        return "currentHealthy" not in status or (
            status.get("observedGeneration") == 1 and status["currentHealthy"] == healthy
        )

    await api.eventually(counted)


async def _evict(api: Api, name: str, **options: Any) -> Answer:
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": api.space},
        **options,
    }
    return await api.post(api.path("pods", name, sub="eviction"), body)


async def test_an_eviction_deletes_with_grace(api: Api) -> None:
    await _running(api, "a")
    done = await _evict(api, "a", deleteOptions={"gracePeriodSeconds": 7})
    assert (done.code, done.body["status"]) == (201, "Success")
    assert (await api.get(api.path("pods", "a"))).ok()["metadata"]["deletionGracePeriodSeconds"] == 7


async def test_a_pod_that_is_not_there(api: Api) -> None:
    refused = await _evict(api, "a")
    assert (refused.code, refused.message) == (404, 'pods "a" not found')


async def test_preconditions_hold_for_evictions(api: Api) -> None:
    await _running(api, "a")
    refused = await _evict(api, "a", deleteOptions={"preconditions": {"uid": "other"}})
    assert (refused.code, refused.reason) == (409, "Conflict")
    assert "deletionTimestamp" not in (await api.get(api.path("pods", "a"))).ok()["metadata"]


@pytest.mark.parametrize("spec", [{"minAvailable": 2}, {"minAvailable": "100%"}, {"maxUnavailable": 0}])
async def test_a_budget_refuses(api: Api, spec: dict[str, Any]) -> None:
    await _running(api, "a", "b")
    await _budget(api, 2, **spec)
    refused = await _evict(api, "a")
    assert (refused.code, refused.reason, refused.message) == (429, "TooManyRequests", REFUSED)
    text = "The disruption budget b needs 2 healthy pods and has 2 currently"
    if "minAvailable" in spec and spec["minAvailable"] == 2:
        assert refused.body["details"]["causes"] == [{"reason": "DisruptionBudget", "message": text}]
    assert [one[0] for one in refused.causes] == ["DisruptionBudget"]


async def test_a_budget_lets_one_go_at_a_time(api: Api) -> None:
    await _running(api, "a", "b")
    await _budget(api, 2, minAvailable=1)
    assert (await _evict(api, "a")).code == 201
    assert (await _evict(api, "b")).code == 429
    assert (await _evict(api, "a")).code == 201


async def test_pods_that_do_not_run_are_nobodys_budget(api: Api) -> None:
    await _running(api, "a")
    (await api.post(api.path("pods"), pod("pending", node="nowhere", labels={"app": "x"}))).ok()
    await _budget(api, 1, minAvailable=5)
    assert (await _evict(api, "pending")).code == 201
    (await api.patch(api.path("pods", "a", sub="status"), {"status": {"phase": "Failed"}})).ok()
    assert (await _evict(api, "a")).code == 201


async def test_a_pod_that_is_not_ready_needs_a_healthy_budget(api: Api) -> None:
    await _running(api, "a", "b")
    await _running(api, "sick", ready=False)
    await _budget(api, 2, minAvailable=2)
    assert (await _evict(api, "a")).code == 429
    assert (await _evict(api, "sick")).code == 201


async def test_a_policy_frees_pods_that_are_not_ready(api: Api) -> None:
    await _running(api, "sick", ready=False)
    await _budget(api, 0, minAvailable=1, unhealthyPodEvictionPolicy="AlwaysAllow")
    assert (await _evict(api, "sick")).code == 201


async def test_a_dry_run_asks_the_budget_and_evicts_nobody(api: Api) -> None:
    await _running(api, "a", "b")
    await _budget(api, 2, minAvailable=1)
    assert (await _evict(api, "a", deleteOptions={"dryRun": ["All"]})).code == 201
    assert "deletionTimestamp" not in (await api.get(api.path("pods", "a"))).ok()["metadata"]
