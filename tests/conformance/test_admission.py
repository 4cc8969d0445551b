"""Admission webhooks: patches, refusals, warnings, order, selectors, failure policies and dry runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.api import Api
from tests.conformance.manifests import GROUP, config_map, widget
from tests.conformance.webhook import Webhook, allow, patch, webhook

_ADMISSION = "admissionregistration.k8s.io/v1"
_CONFIGURATIONS = {
    "Mutating": "mutatingwebhookconfigurations",
    "Validating": "validatingwebhookconfigurations",
}


@pytest.fixture
async def hook(api: Api, tmp_path: Path) -> AsyncIterator[Webhook]:
    """A webhook, and afterwards no configuration of this test's."""
    if not api.cluster.reaches_loopback:
        pytest.skip("the API server cannot call a webhook on this machine's loopback")
    async with webhook(tmp_path) as found:
        yield found
        for plural in _CONFIGURATIONS.values():
            await api.delete(f"/apis/{_ADMISSION}/{plural}/{api.space}")


async def _configure(api: Api, kind: str, probe: Webhook, *entries: dict[str, Any]) -> None:
    """Configure webhooks for this test's namespace and wait until the server asks them."""
    selector = {"matchLabels": {"kubernetes.io/metadata.name": api.space}}
    for entry in entries:
        entry.setdefault("namespaceSelector", selector)
    ready = probe.entry("ready.kairos.io", f"/ready-{kind}", "secrets", "/v1", namespaceSelector=selector)
    probe.on(f"/ready-{kind}", allow)
    body = {"metadata": {"name": api.space}, "webhooks": [*entries, ready]}
    (await api.post(f"/apis/{_ADMISSION}/{_CONFIGURATIONS[kind]}", body)).ok()

    async def asked() -> bool:
        await api.post(api.path("secrets"), {"metadata": {"generateName": "probe-"}}, dryRun="All")
        return any(path == f"/ready-{kind}" for path, _ in probe.asked)

    await api.eventually(asked)
    probe.asked = [one for one in probe.asked if not one[0].startswith("/ready-")]


async def test_what_a_webhook_is_shown(api: Api, hook: Webhook) -> None:
    hook.on("/v", allow)
    await _configure(api, "Validating", hook, hook.entry("v.kairos.io", "/v", "widgets", GROUP))
    body = {**widget(), "metadata": {"generateName": "w-"}}
    name = (await api.post(api.path("widgets", group=GROUP), body)).ok()["metadata"]["name"]
    (await api.patch(api.path("widgets", name, group=GROUP), {"spec": {"size": 6}})).ok()
    (await api.patch(api.path("widgets", name, group=GROUP, sub="status"), {"status": {"phase": "x"}})).ok()
    (_, first), (_, second) = hook.asked
    assert first["operation"] == "CREATE"
    assert first["kind"] == {"group": "conformance.kairos.io", "version": "v1", "kind": "Widget"}
    assert first["resource"] == {"group": "conformance.kairos.io", "version": "v1", "resource": "widgets"}
    assert (first["namespace"], first["name"], first["oldObject"]) == (api.space, name, None)
    assert first["object"]["spec"] == {"size": 5, "color": "grey", "nested": {"depth": 3}}
    assert first["object"]["metadata"]["name"] == name
    assert (second["operation"], second["dryRun"]) == ("UPDATE", False)
    assert (second["oldObject"]["spec"]["size"], second["object"]["spec"]["size"]) == (5, 6)


async def test_a_mutating_webhook_sees_no_generated_name(api: Api, hook: Webhook) -> None:
    hook.on("/m", allow)
    await _configure(api, "Mutating", hook, hook.entry("m.kairos.io", "/m", "widgets", GROUP))
    (await api.post(api.path("widgets", group=GROUP), {**widget(), "metadata": {"generateName": "w-"}})).ok()
    request = hook.asked[0][1]
    assert "name" not in request
    assert request["object"]["metadata"]["generateName"] == "w-"


async def test_patches_are_applied_defaulted_and_validated(api: Api, hook: Webhook) -> None:
    hook.on(
        "/m",
        patch({"op": "replace", "path": "/spec/size", "value": 7}, {"op": "remove", "path": "/spec/color"}),
    )
    hook.on("/v", allow)
    await _configure(api, "Mutating", hook, hook.entry("m.kairos.io", "/m", "widgets", GROUP))
    await _configure(api, "Validating", hook, hook.entry("v.kairos.io", "/v", "widgets", GROUP))
    made = (await api.post(api.path("widgets", group=GROUP), widget())).ok()
    assert (made["spec"]["size"], made["spec"]["color"]) == (7, "grey")
    assert [path for path, _ in hook.asked] == ["/m", "/v"]
    assert hook.asked[1][1]["object"]["spec"]["size"] == 7
    hook.on("/m", patch({"op": "replace", "path": "/spec/size", "value": 700}))
    refused = await api.post(api.path("widgets", group=GROUP), widget("x"))
    assert refused.causes == [("FieldValueInvalid", "spec.size")]


async def test_mutating_webhooks_are_asked_in_turn(api: Api, hook: Webhook) -> None:
    hook.on("/a", patch({"op": "add", "path": "/spec/tags", "value": ["a"]}))
    hook.on("/b", patch({"op": "add", "path": "/spec/tags/-", "value": "b"}))
    entries = [hook.entry(f"{one}.kairos.io", f"/{one}", "widgets", GROUP) for one in ("a", "b")]
    await _configure(api, "Mutating", hook, *entries)
    made = (await api.post(api.path("widgets", group=GROUP), widget())).ok()
    assert made["spec"]["tags"] == ["a", "b"]


async def test_a_refusal_carries_the_webhooks_words(api: Api, hook: Webhook) -> None:
    hook.on(
        "/v",
        lambda _: {"allowed": False, "status": {"code": 422, "reason": "Invalid", "message": "not today"}},
    )
    await _configure(api, "Validating", hook, hook.entry("v.kairos.io", "/v", "widgets", GROUP))
    refused = await api.post(api.path("widgets", group=GROUP), widget())
    said = 'admission webhook "v.kairos.io" denied the request: not today'
    assert (refused.code, refused.reason, refused.message) == (422, "Invalid", said)
    hook.on("/v", lambda _: {"allowed": False})
    refused = await api.post(api.path("widgets", group=GROUP), widget())
    said = 'admission webhook "v.kairos.io" denied the request without explanation'
    assert (refused.code, refused.message) == (400, said)


async def test_warnings_reach_the_client(api: Api, hook: Webhook) -> None:
    hook.on("/v", lambda request: allow(request, 'careful with "that"', "and this"))
    await _configure(api, "Validating", hook, hook.entry("v.kairos.io", "/v", "widgets", GROUP))
    made = await api.post(api.path("widgets", group=GROUP), widget())
    assert made.warnings == ['299 - "careful with \\"that\\""', '299 - "and this"']


async def test_object_selectors_choose(api: Api, hook: Webhook) -> None:
    hook.on("/v", allow)
    selector = {"matchExpressions": [{"key": "watched", "operator": "Exists"}]}
    entry = hook.entry("v.kairos.io", "/v", "configmaps", "/v1", objectSelector=selector)
    await _configure(api, "Validating", hook, entry)
    (await api.post(api.path("configmaps"), config_map("plain"))).ok()
    assert hook.asked == []
    (await api.post(api.path("configmaps"), config_map("seen", labels={"watched": "x"}))).ok()
    (await api.patch(api.path("configmaps", "seen"), {"metadata": {"labels": None}})).ok()
    assert [request["operation"] for _, request in hook.asked] == ["CREATE", "UPDATE"]


@pytest.mark.parametrize(("policy", "code"), [("Fail", 500), ("Ignore", 201)])
async def test_a_webhook_that_fails(api: Api, hook: Webhook, policy: str, code: int) -> None:
    hook.on("/v", lambda _: {"allowed": True, "uid": "another"})
    entry = hook.entry("v.kairos.io", "/v", "widgets", GROUP, failurePolicy=policy, timeoutSeconds=2)
    await _configure(api, "Validating", hook, entry)
    answer = await api.post(api.path("widgets", group=GROUP), widget())
    assert answer.code == code
    if policy == "Fail":
        head = 'Internal error occurred: failed calling webhook "v.kairos.io": '
        assert answer.message.startswith(head)


async def test_deletes_are_asked_about_with_the_old_object(api: Api, hook: Webhook) -> None:
    hook.on("/v", lambda _: {"allowed": False, "status": {"message": "it stays"}})
    entry = hook.entry("v.kairos.io", "/v", "widgets", GROUP)
    entry["rules"][0]["operations"] = ["DELETE"]
    await _configure(api, "Validating", hook, entry)
    (await api.post(api.path("widgets", group=GROUP), widget())).ok()
    assert (await api.delete(api.path("widgets", "w", group=GROUP))).code == 400
    request = hook.asked[0][1]
    assert (request["object"], request["oldObject"]["metadata"]["name"]) == (None, "w")


async def test_dry_runs_are_marked(api: Api, hook: Webhook) -> None:
    hook.on("/v", allow)
    await _configure(api, "Validating", hook, hook.entry("v.kairos.io", "/v", "widgets", GROUP))
    (await api.post(api.path("widgets", group=GROUP), widget(), dryRun="All")).ok()
    assert hook.asked[0][1]["dryRun"] is True
