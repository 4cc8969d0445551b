"""Events: written in the background, counted when repeated, never in the way."""
# long: what holds of one recorder, one rule after another

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, cast

import pytest

from kairos_operator.api.resources import Resource
from kairos_operator.runtime.client import Client
from kairos_operator.runtime.clock import LoopClock
from kairos_operator.runtime.errors import (
    AlreadyExists,
    ApiError,
    Forbidden,
    NotFound,
    NotLeader,
    ServerError,
    TooManyRequests,
    Unreachable,
)
from kairos_operator.runtime.events import EventRecorder
from tests.runtime.virtual import run

OP = {
    "apiVersion": "operator.kairos.io/v1alpha1",
    "kind": "NodeOp",
    "namespace": "ns",
    "name": "op",
    "uid": "u",
}
NODE = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "n"}


class Api:
    """Keeps events; `fails` are raised first, one a call, after the effect if `late`."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.fails: list[Exception] = []
        self.late = False
        self.calls: list[tuple[str, float]] = []

    def _call(self, what: str, effect: Callable[[], None]) -> None:
        self.calls.append((what, asyncio.get_running_loop().time()))
        fail = self.fails.pop(0) if self.fails else None
        if fail is None or self.late:
            effect()
        if fail is not None:
            raise fail

    async def create(
        self, res: Resource, body: Mapping[str, Any], namespace: str | None = None
    ) -> dict[str, Any]:
        name = body["metadata"]["name"]

        def effect() -> None:
            if name in self.events:
                raise AlreadyExists(409, "AlreadyExists", name)
            assert namespace == body["metadata"]["namespace"]
            self.events[name] = dict(body)

        self._call("create", effect)
        return dict(body)

    async def patch(
        self, res: Resource, name: str, body: Mapping[str, Any], namespace: str | None = None
    ) -> dict[str, Any]:
        def effect() -> None:
            if name not in self.events:
                raise NotFound(404, "NotFound", name)
            self.events[name] |= body

        self._call("patch", effect)
        return {}

    def notes(self) -> list[str]:
        return [event["message"] for event in self.events.values()]


@asynccontextmanager
async def recording(api: Api, **options: Any) -> AsyncIterator[EventRecorder]:
    clock = LoopClock(datetime(2026, 1, 1, tzinfo=UTC))
    recorder = EventRecorder(cast(Client, api), clock, instance="pod-1", **options)
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def recorded(test: Callable[[Api, EventRecorder], Awaitable[None]], **options: Any) -> Api:
    api = Api()

    async def main() -> None:
        async with recording(api, **options) as recorder:
            await test(api, recorder)

    run(main)
    return api


def test_an_event_has_all_that_the_api_server_asks_for() -> None:
    async def test(_: Api, recorder: EventRecorder) -> None:
        recorder.publish(OP, "Warning", "DrainFailed", "pod x blocks", related=NODE, action="Drain")
        await recorder.flush(5)

    [event] = recorded(test).events.values()
    assert event["metadata"]["namespace"] == "ns"
    assert event["metadata"]["name"].startswith("op.")
    assert event["firstTimestamp"] == "2026-01-01T00:00:00Z"
    assert event["involvedObject"] == OP
    assert event["related"] == NODE
    assert (event["type"], event["reason"], event["action"]) == ("Warning", "DrainFailed", "Drain")
    assert event["reportingComponent"] == "operator.kairos.io/kairos-operator"
    assert event["reportingInstance"] == "pod-1"


def test_names_are_in_the_order_in_which_things_were_said() -> None:
    """`kubectl describe` sorts by whole seconds, and leaves what is equal in the order of the names."""
    said = [f"word {number}" for number in range(40)]

    async def test(_: Api, recorder: EventRecorder) -> None:
        for text in said:
            recorder.publish(OP, "Normal", "Said", text)
        await recorder.flush(5)

    events = recorded(test).events
    assert [events[name]["message"] for name in sorted(events)] == said
    long = {**OP, "name": "n" * 253}
    assert max(len(name) for name in recorded(_once(long)).events) <= 253


def _once(regarding: Mapping[str, Any]) -> Callable[[Api, EventRecorder], Awaitable[None]]:
    async def test(_: Api, recorder: EventRecorder) -> None:
        recorder.publish(regarding, "Normal", "Said", "a word")
        await recorder.flush(5)

    return test


def test_events_about_nodes_live_in_the_default_namespace() -> None:
    async def test(_: Api, recorder: EventRecorder) -> None:
        recorder.publish(NODE, "Normal", "Cordoned", "by op")
        await recorder.flush(5)

    [event] = recorded(test).events.values()
    assert event["metadata"]["namespace"] == "default"
    assert event["action"] == "Cordoned"


def test_a_long_note_is_cut_to_what_the_api_server_takes_in_bytes() -> None:
    async def test(_: Api, recorder: EventRecorder) -> None:
        recorder.publish(OP, "Normal", "R" * 200, "ü" * 600)
        await recorder.flush(5)

    [event] = recorded(test).events.values()
    assert 1000 < len(event["message"].encode()) <= 1024
    assert event["message"].endswith("ü…")
    assert len(event["reason"].encode()) <= 128


def test_what_is_said_again_becomes_a_series_written_once_a_minute() -> None:
    async def test(_: Api, recorder: EventRecorder) -> None:
        for _second in range(300):
            recorder.publish(OP, "Normal", "Waiting", "for node n1")
            await asyncio.sleep(1)
        await asyncio.sleep(120)

    api = recorded(test)
    [event] = api.events.values()
    assert event["count"] == 300
    assert event["lastTimestamp"] == "2026-01-01T00:04:59Z"
    times = [time for _, time in api.calls]
    assert all(later - earlier >= 60 for earlier, later in pairwise(times))
    assert len(times) == 6


def test_after_ten_minutes_of_silence_it_is_a_new_event() -> None:
    async def test(_: Api, recorder: EventRecorder) -> None:
        recorder.publish(OP, "Normal", "Waiting", "x")
        await asyncio.sleep(601)
        recorder.publish(OP, "Normal", "Waiting", "x")
        await recorder.flush(5)

    assert len(recorded(test).events) == 2


@pytest.mark.parametrize("late", [False, True])
def test_a_write_that_fails_is_repeated_and_stays_one_event(late: bool) -> None:
    async def test(api: Api, recorder: EventRecorder) -> None:
        api.late = late
        api.fails = [Unreachable("cut"), ServerError(503, "x", "y"), TooManyRequests(429, "x", "y", 20.0)]
        recorder.publish(OP, "Normal", "Started", "x")
        await asyncio.sleep(100)

    api = recorded(test)
    assert api.notes() == ["x"]


def test_what_cannot_be_written_is_dropped_and_disturbs_nothing() -> None:
    gone: list[Exception] = [Forbidden(403, "Forbidden", "the namespace is terminating"), NotLeader("not me")]

    async def test(api: Api, recorder: EventRecorder) -> None:
        api.fails = [*gone, ApiError(405, "MethodNotAllowed", "no")]
        for note in ("a", "b", "c", "d"):
            recorder.publish(OP, "Normal", "Started", note)
        await recorder.flush(5)
        api.fails = [Unreachable("cut")] * 100
        recorder.publish(OP, "Normal", "Started", "e")
        await asyncio.sleep(1000)
        assert len(api.fails) > 90
        assert recorder.dropped == 3

    assert recorded(test).notes() == ["d"]


def test_a_series_whose_event_expired_begins_anew() -> None:
    async def test(api: Api, recorder: EventRecorder) -> None:
        recorder.publish(OP, "Normal", "Waiting", "x")
        await recorder.flush(5)
        api.events.clear()
        recorder.publish(OP, "Normal", "Waiting", "x")
        await asyncio.sleep(61)
        recorder.publish(OP, "Normal", "Waiting", "x")
        await recorder.flush(5)

    assert recorded(test).notes() == ["x"]


def test_one_object_cannot_flood_the_others() -> None:
    async def test(_: Api, recorder: EventRecorder) -> None:
        for number in range(50):
            recorder.publish(OP, "Normal", "Flood", f"number {number}")
        recorder.publish(NODE, "Normal", "Cordoned", "the other")
        await asyncio.sleep(20)
        recorder.publish(OP, "Normal", "Flood", "later")
        await recorder.flush(5)
        assert recorder.dropped == 45

    notes = recorded(test, burst=5, per_second=0.1).notes()
    assert len(notes) == 7
    assert {"the other", "later"} <= set(notes)


def test_publishing_never_waits_even_when_nothing_can_be_written() -> None:
    async def main() -> None:
        recorder = EventRecorder(
            cast(Client, Api()), LoopClock(datetime(2026, 1, 1, tzinfo=UTC)), instance="p", bound=10
        )
        for number in range(100):
            recorder.publish({**OP, "uid": str(number)}, "Normal", "Flood", "x")
        assert recorder.dropped == 90
        await recorder.flush(2)  # nobody writes: it returns all the same

    run(main)
