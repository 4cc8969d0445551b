"""Turns effects into API calls.

Rules: writes to one object are done in the order in which they were asked for; objects do not wait for each other;
what fails for a passing reason is answered with `ok=False` after a pause, and then planned anew; that an object is
gone, or is another one of the same name, is a success: there is nothing left to say about it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from kairos_operator.api.resources import JOBS, NODES, PODS
from tests.sandbox.fleet.api import MERGE, Answer, Api
from tests.sandbox.fleet.effects import (
    AnnotatePod,
    CreatePod,
    DeletePod,
    DropFinalizer,
    Effect,
    PatchJobStatus,
    PatchNodeStatus,
    PatchPodStatus,
)

Answered = Callable[[Effect, bool], None]
PAUSE = 0.3
NOT_FOUND, CONFLICT = 404, 409


class Writer:
    """Does effects in the background, in order for each object."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._last: dict[str, asyncio.Task[None]] = {}

    def submit(self, effect: Effect, answered: Answered) -> None:
        """Does the effect after those on the same object, and says how it went."""
        key = _key(effect)
        before = self._last.get(key)
        task = asyncio.create_task(self._do(effect, answered, before))
        self._last[key] = task
        task.add_done_callback(lambda done: self._forget(key, done))

    async def stop(self) -> None:
        """Drops what is not written yet."""
        tasks = list(self._last.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _do(self, effect: Effect, answered: Answered, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            await self._call(effect)
        except Answer as answer:
            if not _settled(effect, answer):
                await asyncio.sleep(PAUSE)
                answered(effect, False)
                return
        answered(effect, True)

    def _forget(self, key: str, done: asyncio.Task[None]) -> None:
        if self._last.get(key) is done:
            del self._last[key]
        if not done.cancelled():
            done.result()

    async def _call(self, effect: Effect) -> None:
        call = self._api.call
        body: dict[str, Any]
        match effect:
            case PatchPodStatus(namespace, name, uid, status):
                path = PODS.path(namespace, name, "status")
                await call("PATCH", path, {"metadata": {"uid": uid}, "status": status}, media=MERGE)
            case AnnotatePod(namespace, name, uid, annotations):
                body = {"metadata": {"uid": uid, "annotations": dict(annotations)}}
                await call("PATCH", PODS.path(namespace, name), body, media=MERGE)
            case DropFinalizer(namespace, name, uid, finalizers):
                body = {"metadata": {"uid": uid, "finalizers": list(finalizers) or None}}
                await call("PATCH", PODS.path(namespace, name), body, media=MERGE)
            case DeletePod(namespace, name, uid, gracefully):
                options = {"preconditions": {"uid": uid}} | ({} if gracefully else {"gracePeriodSeconds": 0})
                await call("DELETE", PODS.path(namespace, name), options)
            case PatchNodeStatus(name, status):
                await call("PATCH", NODES.path(None, name, "status"), {"status": status}, media=MERGE)
            case CreatePod(namespace, _, _, pod):
                await call("POST", PODS.path(namespace), pod)
            case PatchJobStatus(namespace, name, uid, version, status):
                body = {"metadata": {"uid": uid, "resourceVersion": version}, "status": status}
                await call("PATCH", JOBS.path(namespace, name, "status"), body, media=MERGE)


def _settled(effect: Effect, answer: Answer) -> bool:
    """Whether a refusal leaves nothing to be done."""
    if answer.status == NOT_FOUND:
        return not isinstance(effect, CreatePod)
    if answer.status == CONFLICT:
        # Our writes carry no resourceVersion but the Job's, so this is a precondition on the UID.
        return not isinstance(effect, PatchJobStatus)
    return False


def _key(effect: Effect) -> str:
    match effect:
        case PatchNodeStatus(name):
            return f"node/{name}"
        case PatchJobStatus(namespace, name):
            return f"job/{namespace}/{name}"
        case PatchPodStatus(ns, name) | AnnotatePod(ns, name) | DropFinalizer(ns, name) | DeletePod(ns, name):
            return f"pod/{ns}/{name}"
        case CreatePod(namespace, name):
            return f"pod/{namespace}/{name}"
        case _:
            raise TypeError(f"{type(effect).__name__} is no write")
