"""List and watch against every fault that the wire and the server can show."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from kairos_operator.api.resources import NODES, PODS
from kairos_operator.runtime.backoff import Backoff
from kairos_operator.runtime.clock import SystemClock
from kairos_operator.runtime.kube_client import KubeClient
from kairos_operator.runtime.reflector import Reflector
from kairos_operator.runtime.store import Store
from tests.runtime import stub as s

NODE_PATH = "/api/v1/nodes"


def parse(obj: Mapping[str, Any]) -> tuple[str, str]:
    return obj["metadata"]["name"], obj["metadata"].get("labels", {}).get("v", "")


class Rig:
    def __init__(self, stub: s.Stub, client: KubeClient) -> None:
        self.stub = stub
        self.client = client
        self.store: Store[tuple[str, str]] = Store(parse)
        self.changes: list[tuple[Any, Any]] = []
        self.store.subscribe(lambda old, new: self.changes.append((old, new)))
        self.restarts: list[str] = []
        self.reflector = self.follow(NODES, self.store)

    def follow(self, resource: Any, store: Store[Any]) -> Reflector[Any]:
        backoff = Backoff(0.01, 0.05)
        return Reflector(
            self.client,
            resource,
            store,
            clock=SystemClock(),
            backoff=backoff,
            on_restart=self.restarts.append,
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - the condition is the state of a store
                await asyncio.sleep(0.005)

    def watched_from(self) -> list[str]:
        return [request.query["resourceVersion"] for request in self.stub.seen(f"WATCH {NODE_PATH}")]


@asynccontextmanager
async def running(*lists: s.Reply, watches: list[s.Reply], read_timeout: float = 5.0) -> AsyncIterator[Rig]:
    async with s.serving() as stub, stub.api() as api:
        stub.on(f"GET {NODE_PATH}", *lists)
        stub.on(f"WATCH {NODE_PATH}", *watches)
        rig = Rig(stub, KubeClient(api, read_timeout=read_timeout))
        task = asyncio.create_task(rig.reflector.run())
        try:
            yield rig
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_a_list_and_its_watch_fill_the_store_and_tell_of_each_change() -> None:
    events = [
        s.event("ADDED", s.node("b", 11)),
        s.event("MODIFIED", s.node("a", 12, v="2")),
        s.event("DELETED", s.node("b", 13)),
    ]
    async with running(s.listing(10, s.node("a", 5)), watches=[s.stream(*events, then="hang")]) as rig:
        await rig.until(lambda: rig.store.resource_version == "13")
        assert rig.store.values() == [("a", "2")]
        assert rig.changes == [
            (None, ("a", "")),
            (None, ("b", "")),
            (("a", ""), ("a", "2")),
            (("b", ""), None),
        ]
        assert rig.reflector.synced.is_set()


async def test_pages_are_read_to_the_end() -> None:
    lists = [s.listing(10, s.node("a", 5), more="next"), s.listing(10, s.node("b", 6))]
    async with running(*lists, watches=[s.stream(then="hang")]) as rig:
        await rig.until(rig.reflector.synced.is_set)
        assert [name for name, _ in rig.store.values()] == ["a", "b"]
        assert [r.query.get("continue") for r in rig.stub.seen(f"GET {NODE_PATH}")] == [None, "next"]


async def test_an_expired_page_is_read_again_in_one_piece() -> None:
    lists = [
        s.listing(10, s.node("a", 5), more="next"),
        s.status(410, "Expired", "the continue token is too old"),
        s.listing(20, s.node("b", 15)),
    ]
    async with running(*lists, watches=[s.stream(then="hang")]) as rig:
        await rig.until(rig.reflector.synced.is_set)
        assert [name for name, _ in rig.store.values()] == ["b"]
        assert "limit" not in rig.stub.seen(f"GET {NODE_PATH}")[-1].query


@pytest.mark.parametrize("then", ["close", "abort"])
async def test_a_watch_that_ends_goes_on_from_its_last_version_bookmarks_included(then: str) -> None:
    watches = [
        s.stream(s.event("MODIFIED", s.node("a", 11, v="2")), s.bookmark(15), then=then),
        s.stream(s.event("MODIFIED", s.node("a", 16, v="3")), then="hang"),
    ]
    async with running(s.listing(10, s.node("a", 5)), watches=watches) as rig:
        await rig.until(lambda: rig.store.get("a") == ("a", "3"))
        assert rig.watched_from() == ["10", "15"]
        assert len(rig.stub.seen(f"GET {NODE_PATH}")) == 1


async def test_a_half_open_connection_is_given_up_after_silence() -> None:
    watches = [
        s.stream(s.bookmark(12), then="hang"),
        s.stream(s.event("MODIFIED", s.node("a", 16, v="3")), then="hang"),
    ]
    async with running(s.listing(10, s.node("a", 5)), watches=watches, read_timeout=0.2) as rig:
        await rig.until(lambda: rig.store.get("a") == ("a", "3"))
        assert rig.watched_from()[:2] == ["10", "12"]
        assert rig.restarts[0] == "Unreachable"


@pytest.mark.parametrize(
    "gone",
    [
        s.stream(
            s.event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})
        ),
        s.status(410, "Expired", "too old"),
    ],
)
async def test_a_version_that_is_too_old_means_a_new_list(gone: s.Reply) -> None:
    lists = [s.listing(10, s.node("a", 5), s.node("b", 6)), s.listing(30, s.node("a", 25, v="2"))]
    async with running(*lists, watches=[gone, s.stream(then="hang")]) as rig:
        await rig.until(lambda: rig.watched_from() == ["10", "30"])
        assert rig.store.values() == [("a", "2")]
        # what vanished meanwhile is announced, and nothing else was lost in between
        assert rig.changes[2:] == [(("a", ""), ("a", "2")), (("b", ""), None)]


async def test_another_error_event_is_survived_without_a_new_list() -> None:
    error = {"kind": "Status", "code": 500, "reason": "InternalError", "message": "etcd: no leader"}
    watches = [
        s.stream(s.event("ERROR", error)),
        s.stream(s.event("MODIFIED", s.node("a", 16, v="3")), then="hang"),
    ]
    async with running(s.listing(10, s.node("a", 5)), watches=watches) as rig:
        await rig.until(lambda: rig.store.get("a") == ("a", "3"))
        assert rig.watched_from() == ["10", "10"]
        assert rig.restarts == ["InternalError"]


async def test_a_garbage_line_is_survived_and_named() -> None:
    watches = [
        s.stream(b"<html>proxy</html>\n", then="hang"),
        s.stream(s.event("MODIFIED", s.node("a", 16, v="3")), then="hang"),
    ]
    async with running(s.listing(10, s.node("a", 5)), watches=watches) as rig:
        await rig.until(lambda: rig.store.get("a") == ("a", "3"))


async def test_failures_without_any_progress_end_in_a_new_list() -> None:
    lists = [s.listing(10, s.node("a", 5)), s.listing(30, s.node("c", 25))]
    watches = [s.stream(b"garbage\n")] * 5 + [s.stream(then="hang")]
    async with running(*lists, watches=watches) as rig:
        await rig.until(lambda: rig.watched_from()[-1:] == ["30"])
        assert rig.store.values() == [("c", "")]


async def test_line_separators_inside_of_strings_and_events_cut_anywhere_are_read() -> None:
    odd = "a\u0085b\u2028c\x1d"
    whole = s.event("MODIFIED", s.node("a", 11, v=odd)) + s.event("MODIFIED", s.node("b", 12))
    chunks = [whole[i : i + 7] for i in range(0, len(whole), 7)]
    async with running(s.listing(10, s.node("a", 5)), watches=[s.stream(*chunks, then="hang")]) as rig:
        await rig.until(lambda: rig.store.resource_version == "12")
        assert rig.store.get("a") == ("a", odd)


async def test_a_missing_right_is_said_once_and_disturbs_no_other_watch(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch = s.stream(s.bookmark(11), then="hang")
    async with running(s.listing(10, s.node("a", 5)), watches=[watch]) as rig:
        await rig.until(lambda: rig.store.resource_version == "11")
        message = 'pods is forbidden: User "x" cannot list resource "pods"'
        rig.stub.on("GET /api/v1/pods", *[s.status(403, "Forbidden", message)] * 6, s.listing(20))
        rig.stub.on("WATCH /api/v1/pods", s.stream(then="hang"))
        with caplog.at_level(logging.WARNING):
            pods = rig.follow(PODS, Store(parse))
            task = asyncio.create_task(pods.run())
            await rig.until(pods.synced.is_set)
            task.cancel()
        assert [message in record.getMessage() for record in caplog.records] == [True]
        # no new login, no closed session: the nodes' watch is still its first
        assert rig.watched_from() == ["10"]


async def test_a_restart_of_the_server_is_survived() -> None:
    async with running(s.listing(10, s.node("a", 5)), watches=[s.stream(then="hang")]) as rig:
        await rig.until(lambda: len(rig.watched_from()) == 1)
        port = rig.stub.port
        await rig.stub.stop()
        await rig.until(lambda: len(rig.restarts) >= 2)
        rig.stub.on(
            f"WATCH {NODE_PATH}",
            s.status(503, "ServiceUnavailable", "starting"),
            s.status(429, "TooManyRequests", "storage is (re)initializing", {"Retry-After": "0.01"}),
            s.stream(s.event("MODIFIED", s.node("a", 16, v="3")), then="hang"),
        )
        await rig.stub.start(port)
        await rig.until(lambda: rig.store.get("a") == ("a", "3"))
