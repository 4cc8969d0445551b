"""Events about what the operator does, written in the background.

Rules:
- `publish` never blocks and never fails: what cannot be written is dropped, and counted;
- they are core/v1 Events: those of events.k8s.io/v1 may not carry the times by which `kubectl describe` sorts, and
  would make a story out of order;
- the same thing said again within ten minutes becomes one Event with a count, written at most once a minute;
- one object cannot flood the cluster: so many Events at once, then a slow trickle;
- an Event's name derives from when it was said and what it says, so that a write that is repeated stays one Event,
  and names are in the order of the story: `kubectl describe` sorts by whole seconds and keeps the order of what is
  equal.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from kairos_operator.api.resources import CORE_EVENTS
from kairos_operator.runtime.backoff import Backoff, TokenBucket
from kairos_operator.runtime.client import Client, Object
from kairos_operator.runtime.clock import Clock, to_micro_time, to_rfc3339
from kairos_operator.runtime.errors import AlreadyExists, ApiError, NotFound, NotLeader
from kairos_operator.runtime.queue import Queue

log = logging.getLogger(__name__)

COMPONENT = "kairos-operator"
CONTROLLER = "operator.kairos.io/kairos-operator"
NOTE_BYTES = 1024  # limits of the API server's validation, in bytes
WORD_BYTES = 128
SERIES_SECONDS = 600.0
SERIES_WRITE_SECONDS = 60.0
ATTEMPTS = 5


@dataclass(slots=True)
class _Series:
    """One thing that was said, once or several times."""

    body: Object
    last_said: float
    last_time: str
    count: int = 1
    written: int = 0  # the count that the API server knows; 0: nothing yet
    written_at: float = float("-inf")


class EventRecorder:
    """Publishes Events; start `run` as a task, and call `flush` before the end.

    `instance` is the Pod's name. At most `bound` different things wait to be written or are remembered for
    their series. Each object may have `burst` Events at once, then `per_second`.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        *,
        instance: str,
        bound: int = 1000,
        burst: float = 100.0,
        per_second: float = 0.5,
        backoff: Backoff | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._instance = _cut(instance, WORD_BYTES)
        self._bound = bound
        self._burst = burst
        self._per_second = per_second
        self._series: dict[str, _Series] = {}
        self._written: OrderedDict[str, None] = OrderedDict()  # series of which all is written, oldest first
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        self._queue: Queue[str] = Queue(backoff or Backoff(1.0, 30.0))
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._last_stamp = 0
        self.dropped = 0

    def publish(
        self,
        regarding: Mapping[str, Any],
        kind: Literal["Normal", "Warning"],
        reason: str,
        note: str,
        *,
        related: Mapping[str, Any] | None = None,
        action: str = "",
    ) -> None:
        """Say something about an object (an ObjectReference); `action` defaults to the reason."""
        now = self._clock.monotonic()
        said = {
            "regarding": dict(regarding),
            "type": kind,
            "reason": _cut(reason, WORD_BYTES),
            "note": _cut(note, NOTE_BYTES),
            "action": _cut(action or reason, WORD_BYTES),
        }
        if related is not None:
            said["related"] = dict(related)
        key = _digest(said)
        series = self._series.get(key)
        if series is not None and now - series.last_said <= SERIES_SECONDS:
            series.count += 1
            series.last_said, series.last_time = now, to_rfc3339(self._clock.now())
            self._written.pop(key, None)
            if series.written:
                self._queue.add_after(key, series.written_at + SERIES_WRITE_SECONDS - now)
            return
        if not self._bucket(regarding).take(now) or not self._make_room():
            self._drop(said)
            return
        time = self._clock.now()
        self._series[key] = _Series(self._body(said, time), now, to_rfc3339(time))
        self._quiet.clear()
        self._queue.add(key)

    async def run(self) -> None:
        """Write what was published, until cancelled."""
        while True:
            key = await self._queue.get()
            try:
                await self._write(key)
            finally:
                self._queue.done(key)
                if self._queue.idle:
                    self._quiet.set()

    async def flush(self, seconds: float) -> None:
        """Wait until everything new is written, at most so long; `run` must be running."""
        try:
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
        except TimeoutError:
            log.info("some events were not written before the end")

    async def _write(self, key: str) -> None:
        series = self._series.get(key)
        if series is None or series.count == series.written:
            return
        count = series.count
        try:
            if series.written:
                await self._patch(series, count)
            else:
                await self._create(series, count)
        except NotLeader:
            self._series.pop(key, None)
        except ApiError as error:
            self._after_failure(key, series, error)
        else:
            series.written, series.written_at = count, self._clock.monotonic()
            self._queue.forget(key)
            if series.count == count:
                self._written[key] = None
            else:
                self._queue.add_after(key, SERIES_WRITE_SECONDS)

    async def _create(self, series: _Series, count: int) -> None:
        body = {**series.body, "count": count, "lastTimestamp": series.last_time}
        try:
            await self._client.create(CORE_EVENTS, body, body["metadata"]["namespace"])
        except AlreadyExists:
            log.debug("the event was written by an earlier attempt")
        # A thousand series are remembered; what is needed of one that is written is its name, and for the log.
        series.body = {key: body[key] for key in ("metadata", "reason", "message")}

    async def _patch(self, series: _Series, count: int) -> None:
        meta = series.body["metadata"]
        change = {"count": count, "lastTimestamp": series.last_time}
        await self._client.patch(CORE_EVENTS, meta["name"], change, meta["namespace"])

    def _after_failure(self, key: str, series: _Series, error: ApiError) -> None:
        if isinstance(error, NotFound) and series.written:
            self._series.pop(key)  # Events expire after an hour: the next one begins a new series
        elif error.retryable and self._queue.failures(key) < ATTEMPTS:
            self._queue.add_rate_limited(key, error.retry_after or 0.0)
            return
        else:
            self._series.pop(key)
            self._drop(series.body, error.message)
        self._queue.forget(key)

    def _body(self, said: Mapping[str, Any], time: datetime) -> Object:
        regarding = said["regarding"]
        stem = str(regarding.get("name", ""))[:230].rstrip("-.") or "event"
        self._last_stamp = max(self._last_stamp + 1, int(time.timestamp() * 1_000_000))
        body = {
            "apiVersion": CORE_EVENTS.api_version,
            "kind": CORE_EVENTS.kind,
            "metadata": {
                "name": f"{stem}.{self._last_stamp:014x}{_digest({**said, 'time': to_micro_time(time)})[:8]}",
                # Events about objects without a namespace live in "default", as the API server demands
                "namespace": regarding.get("namespace") or "default",
            },
            "involvedObject": regarding,
            "type": said["type"],
            "reason": said["reason"],
            "message": said["note"],
            "action": said["action"],
            "firstTimestamp": to_rfc3339(time),
            "source": {"component": COMPONENT},
            "reportingComponent": CONTROLLER,
            "reportingInstance": self._instance,
        }
        return body | ({"related": said["related"]} if "related" in said else {})

    def _bucket(self, regarding: Mapping[str, Any]) -> TokenBucket:
        key = _digest({name: regarding.get(name) for name in ("kind", "namespace", "name", "uid")})
        bucket = self._buckets.setdefault(key, TokenBucket(self._burst, self._per_second))
        self._buckets.move_to_end(key)
        while len(self._buckets) > self._bound:
            self._buckets.popitem(last=False)
        return bucket

    def _make_room(self) -> bool:
        """Forget the series that was quiet for the longest time, if there are too many; False if none was."""
        if len(self._series) < self._bound:
            return True
        if not self._written:
            return False
        del self._series[self._written.popitem(last=False)[0]]
        return True

    def _drop(self, said: Mapping[str, Any], why: str = "too many") -> None:
        self.dropped += 1
        note = said.get("note") or said.get("message")
        log.debug("dropped an event", extra={"event": said["reason"], "note": note, "why": why})


def _cut(text: str, size: int) -> str:
    """The text, or as much of it as fits into `size` bytes, and an ellipsis."""
    data = text.encode()
    if len(data) <= size:
        return text
    return data[: size - 3].decode(errors="ignore") + "…"


def _digest(said: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
