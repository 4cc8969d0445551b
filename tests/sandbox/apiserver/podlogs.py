"""pods/log: what a container said, as far as the API server and the kubelet decide about it.

Which container, whether it has a log at all and the words of each refusal are the API server's and the kubelet's own.
A followed log ends with the container's run; where the node goes down under it, the connection breaks, as the
kubelet's does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from kairos_operator.api.resources import NODES
from tests.sandbox.apiserver import bodies
from tests.sandbox.store import Kind, Object, StatusError, Store
from tests.sandbox.store.errors import Fault, bad_request, invalid, not_found, not_implemented

# namespace, pod, container, previous -> text; raises KeyError where the kubelet has no such container
Logs = Callable[[str, str, str, bool], Awaitable[str]]
LOOK_SECONDS = 0.1  # between two looks for more lines
_NOT_DONE = ("sinceSeconds", "sinceTime", "limitBytes", "stream")
_PULLS = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for; `tail` is None for everything."""

    container: str
    previous: bool
    follow: bool
    tail: int | None


async def pod_log(
    request: web.Request, store: Store, kind: Kind, pod: Object, logs: Logs | None
) -> web.StreamResponse:
    """The answer to a GET of a pod's log; raises StatusError."""
    asked = _asked(request, pod)
    if not pod["spec"].get("nodeName"):
        return web.Response(status=204)
    if _node(store, pod["spec"]["nodeName"]) is None:
        raise not_found("", "pods", pod["spec"]["nodeName"])  # the real server's words; it means the node
    if logs is None:
        raise not_implemented("pod logs, since nothing here runs the pods")
    status = _status(pod, asked.container)
    _check(pod, asked, status)
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    if not asked.follow or asked.previous or "running" not in status["state"]:
        text = await _said(logs, namespace, name, asked.container, asked.previous)
        return web.Response(text=_tail(text, asked.tail), content_type="text/plain")
    return await _Following(store, kind, pod, asked, logs).answer(request)


def _asked(request: web.Request, pod: Object) -> Asked:
    tail = request.query.get("tailLines")
    name = pod["metadata"]["name"]
    if tail is not None and tail.lstrip("-").isdigit() and int(tail) < 0:
        fault = Fault("Invalid", "tailLines", int(tail), "must be greater than or equal to 0")
        raise invalid("", "PodLogOptions", name, [fault])
    for word in _NOT_DONE:
        if word in request.query:
            raise not_implemented(f"pod logs with {word}")
    if bodies.flag(request, "timestamps"):
        raise not_implemented("pod logs with timestamps, since nobody notes when a line was said")
    return Asked(
        _container(pod, request.query.get("container", "")),
        bodies.flag(request, "previous"),
        bodies.flag(request, "follow"),
        None if tail is None else bodies.number(request, "tailLines"),
    )


def _container(pod: Object, wanted: str) -> str:
    names = [one["name"] for one in pod["spec"]["containers"]]
    inits = [one["name"] for one in pod["spec"].get("initContainers") or ()]
    name = pod["metadata"]["name"]
    if wanted:
        if wanted not in (*names, *inits):
            raise bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted
    if len(names) > 1:
        shown = " ".join((*inits, *names))
        raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{shown}]")
    return str(names[0])


def _status(pod: Object, container: str) -> dict[str, Any]:
    found = pod.get("status") or {}
    for one in (*(found.get("initContainerStatuses") or ()), *(found.get("containerStatuses") or ())):
        if one["name"] == container:
            return {"state": {}, "lastState": {}, "restartCount": 0, **one}
    raise bad_request(f'container "{container}" in pod "{pod["metadata"]["name"]}" is not available')


def _check(pod: Object, asked: Asked, status: dict[str, Any]) -> None:
    """Raises 400 for a run that there is not, in the kubelet's words."""
    what = f'container "{asked.container}" in pod "{pod["metadata"]["name"]}"'
    ended_before = "terminated" in status["lastState"]
    if asked.previous and not ended_before:
        raise bad_request(f"previous terminated {what} not found")
    waiting = status["state"].get("waiting")
    if waiting is not None and not ended_before and not asked.previous:
        reason = waiting.get("reason", "")
        raise bad_request(f"{what} is waiting to start: {_PULLS.get(reason, reason)}")


async def _said(logs: Logs, namespace: str, pod: str, container: str, previous: bool) -> str:
    try:
        return await logs(namespace, pod, container, previous)
    except KeyError as error:
        raise bad_request(f'container "{container}" in pod "{pod}" is not available') from error


def _tail(text: str, lines: int | None) -> str:
    if lines is None:
        return text
    return "".join(text.splitlines(keepends=True)[-lines:]) if lines else ""


class _Following:
    """One log that is being followed, also from a node that is on its way back and not Ready yet."""

    def __init__(self, store: Store, kind: Kind, pod: Object, asked: Asked, logs: Logs) -> None:
        self._store, self._kind, self._asked, self._logs = store, kind, asked, logs
        self._namespace, self._name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        self._uid, self._node = pod["metadata"]["uid"], pod["spec"]["nodeName"]
        self._run = _status(pod, asked.container)["restartCount"]
        self._was_up = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Sends lines as they come, until the run ends, its node goes down or the client goes away."""
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()
        try:
            await response.prepare(request)
            said, over = await self._now()
            sent = len(said) - len(_tail(said, self._asked.tail))
            while True:
                if len(said) > sent:
                    await response.write(said[sent:].encode())
                    sent = len(said)
                if over:
                    return response
                await asyncio.sleep(LOOK_SECONDS)
                if self._node_went_down():
                    if request.transport is not None:
                        request.transport.abort()
                    return response
                said, over = await self._now()
        except ConnectionError:
            return response  # the client went away, which is how most of them end

    async def _now(self) -> tuple[str, bool]:
        """What this run has said, and whether it is over; the state is read first, so that no last word is lost."""
        try:
            pod = self._store.get(self._kind, self._name, self._namespace)
            status = _status(pod, self._asked.container)
        except StatusError:
            return "", True  # the pod has gone
        if pod["metadata"]["uid"] != self._uid or status["restartCount"] > self._run + 1:
            return "", True
        again = status["restartCount"] != self._run
        try:
            said = await _said(self._logs, self._namespace, self._name, self._asked.container, again)
        except StatusError:
            return "", True
        return said, again or "running" not in status["state"]

    def _node_went_down(self) -> bool:
        node = _node(self._store, self._node) or {}
        conditions = (node.get("status") or {}).get("conditions") or ()
        up = all(one["status"] == "True" for one in conditions if one["type"] == "Ready")
        before, self._was_up = self._was_up, up
        return before and not up


def _node(store: Store, name: str) -> Object | None:
    kind = store.kind(NODES)
    return store.find(kind, store.key(kind, name, None))
