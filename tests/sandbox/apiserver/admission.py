"""Admission webhooks: which ones a write concerns, in which order they are asked, and what their answers do.

Mutating webhooks first, one after the other, in order of configuration and webhook name; then, on the object as
it will be stored, the validating ones, all at once. Rules follow k8s.io/apiserver/pkg/admission/plugin/webhook.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tests.sandbox.apiserver.webhooks import Caller, Hook, Verdict, denied, patched
from tests.sandbox.store import Object, Store
from tests.sandbox.store.errors import bad_request
from tests.sandbox.store.jsondata import same_json
from tests.sandbox.store.kinds import BUILT_IN
from tests.sandbox.store.selectors import structured
from tests.sandbox.store.writes import Step, Steps

_GROUP = "admissionregistration.k8s.io"
_CONFIGURATIONS = {"mutate": "mutatingwebhookconfigurations", "validate": "validatingwebhookconfigurations"}
_NAMESPACES = next(kind for kind in BUILT_IN if kind.plural == "namespaces")


class Admission:
    """Runs writes through the webhooks that are configured in the store."""

    def __init__(self, store: Store, caller: Caller) -> None:
        self._store = store
        self._caller = caller

    async def run(self, steps: Steps, warnings: list[str]) -> Object:
        """Run a write to its end, asking the webhooks at each step; raises StatusError."""
        try:
            step = next(steps)
            while True:
                step = steps.send(await self._review(step, warnings))
        except StopIteration as end:
            result: Object = end.value
            return result

    async def _review(self, step: Step, warnings: list[str]) -> Object | None:
        hooks = self._concerned(step)
        if not hooks:
            return step.obj
        if step.stage == "validate":
            verdicts = await asyncio.gather(*(self._caller.ask(hook, step, step.obj) for hook in hooks))
            for verdict in verdicts:
                _judge(verdict, warnings)
            return step.obj
        return await self._mutate(hooks, step, warnings)

    async def _mutate(self, hooks: list[Hook], step: Step, warnings: list[str]) -> Object | None:
        obj = step.obj
        changed_after: dict[str, bool] = {}
        for hook in hooks:
            before = obj
            obj = await self._mutated(hook, step, obj, warnings)
            if not same_json(before, obj):
                changed_after = dict.fromkeys(changed_after, True)
            changed_after[hook.key] = False
        for hook in hooks:  # once more for those that want to see what came after them
            if hook.reinvoked and changed_after[hook.key]:
                obj = await self._mutated(hook, step, obj, warnings)
        return obj

    async def _mutated(
        self, hook: Hook, step: Step, obj: Object | None, warnings: list[str]
    ) -> Object | None:
        verdict = await self._caller.ask(hook, step, obj)
        _judge(verdict, warnings)
        return patched(verdict, obj)

    def _concerned(self, step: Step) -> list[Hook]:
        """The webhooks whose rules and selectors match, in the order in which they are asked."""
        if step.kind.group == _GROUP:  # so that a broken webhook can always be taken away
            return []
        found = []
        for one in self._store.objects((_GROUP, _CONFIGURATIONS[step.stage])):
            for body in one.get("webhooks") or []:
                if _matches_rules(body, step) and self._selected(body, step):
                    found.append(Hook(one["metadata"]["name"], body))
        found.sort(key=lambda hook: hook.configuration)
        if step.options.dry_run:
            for hook in found:
                if hook.body.get("sideEffects") not in ("None", "NoneOnDryRun"):
                    text = f'admission webhook "{hook.name}" does not support dry run'
                    raise bad_request(text)
        return found

    def _selected(self, body: Object, step: Step) -> bool:
        if not self._namespace_selected(body.get("namespaceSelector") or {}, step):
            return False
        selector = body.get("objectSelector") or {}
        if not selector:
            return True
        matches = structured(selector)
        return any(matches(obj) for obj in (step.obj, step.old) if obj is not None)

    def _namespace_selected(self, selector: Object, step: Step) -> bool:
        if not selector:
            return True
        if step.kind == _NAMESPACES:
            namespace: Any = step.obj or step.old
        elif not step.kind.namespaced:
            return True
        else:
            namespace = self._store.find(_NAMESPACES, ("", step.namespace))
        return namespace is not None and structured(selector)(namespace)


def _judge(verdict: Verdict, warnings: list[str]) -> None:
    warnings.extend(verdict.warnings)
    if not verdict.allowed:
        raise denied(verdict)


def _matches_rules(body: Object, step: Step) -> bool:
    wanted = f"{step.kind.plural}/{step.subresource}" if step.subresource else step.kind.plural
    return any(_matches_rule(rule, step, wanted) for rule in body.get("rules") or [])


def _matches_rule(rule: Object, step: Step, resource: str) -> bool:
    def among(key: str, value: str) -> bool:
        listed = rule.get(key) or []
        return "*" in listed or value in listed

    scope = rule.get("scope", "*")
    if scope != "*" and (scope == "Namespaced") is not step.kind.namespaced:
        return False
    plain, _, sub = resource.partition("/")
    patterns = {resource, f"{plain}/*", f"*/{sub}", "*/*"} if sub else {resource, "*", "*/*"}
    return (
        among("operations", step.operation)
        and among("apiGroups", step.kind.group)
        and among("apiVersions", step.kind.version)
        and bool(patterns & set(rule.get("resources") or []))
    )
