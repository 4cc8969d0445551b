"""The server over real TLS: four paths, and a well-formed answer or a clean close for whatever comes."""

from __future__ import annotations

import asyncio
import gc
import logging
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

import webhooks.server
from kairos_operator import connections
from tests.webhooks.objects import node_op, review
from tests.webhooks.serving import MUTATE, VALIDATE, post, serving, trusting
from webhooks.keys import load_into, mint


def well_formed(answer: Any) -> bool:
    """Whether the API server can use it: the uid back, a verdict, and a reason with a refusal."""
    response = answer["response"]
    said = response["allowed"] or response["status"]["message"]
    return answer["kind"] == "AdmissionReview" and bool(response["uid"] and said)


@pytest.mark.parametrize("kind", ["nodeop", "nodeopupgrade"])
@pytest.mark.parametrize("door", ["mutate", "validate"])
async def test_the_four_paths_answer(door: str, kind: str) -> None:
    obj = node_op() | ({} if kind == "nodeop" else {"kind": "NodeOpUpgrade", "spec": {"image": "a:1"}})
    async with serving() as served:
        status, answer = await post(served, review(obj), f"/{door}-operator-kairos-io-v1alpha1-{kind}")
    assert status == 200
    assert answer["response"]["allowed"]
    assert well_formed(answer)


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/validate", "/../x", VALIDATE + "/", "/%00"])
async def test_no_other_path_is_there(path: str) -> None:
    async with serving() as served, served.session.post(served.url(path), data=review(node_op())) as answer:
        assert answer.status == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
async def test_no_other_method_is_answered(method: str) -> None:
    async with serving() as served, served.session.request(method, served.url()) as answer:
        assert answer.status == 405


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\x00\xff" * 100,
        b"1" * 100_000,
        b'{"kind": "AdmissionReview", "kind": "AdmissionReview"}',
        review(node_op())[:-10],
    ],
    ids=range(9),
)
async def test_what_is_no_review_is_a_bad_request(body: bytes) -> None:
    async with serving() as served:
        status, answer = await post(served, body)
        assert (status, answer["kind"], answer["status"]) == (400, "Status", "Failure")
        assert (await post(served, review(node_op())))[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        review({"kind": "Pod"}),
        review(node_op(), object=None),
        review(node_op(), object=[]),
        review(node_op(), object={"metadata": [], "spec": 7}),
        review(node_op(), oldObject=[], operation="UPDATE"),
        review(node_op(), kind="NodeOp"),
        review(node_op(), userInfo=3, name=4, namespace={}),
        review(node_op(command=[{"a": [1, 2.5, None]}], nodeSelector=3, drainOptions="x", preflight=[])),
        review(node_op()).replace(b'"concurrency"', b'"a"').replace(b'"spec"', b'"spec": {}, "spec"'),
        review(node_op(command=["x" * 3 * 2**20])),
        review(node_op(concurrency=10**400)),
        review(node_op(image="a.com:" + "9" * 5000 + "/b")),
    ],
    ids=range(12),
)
@pytest.mark.parametrize("path", [MUTATE, VALIDATE])
async def test_odd_reviews_get_a_verdict(body: bytes, path: str) -> None:
    async with serving() as served:
        status, answer = await post(served, body, path)
    assert status == 200
    assert well_formed(answer)


async def test_three_mebibytes_pass_and_more_than_eight_do_not() -> None:
    obj = node_op(command=["x" * 1000] * 1000)
    large = review(obj, obj | {"metadata": {"name": "op", "annotations": {"a": "b" * 2**20}}})
    assert len(large) > 3 * 2**20 - 2**17
    async with serving() as served:
        assert (await post(served, large))[0] == 200
        async with served.session.post(served.url(), data=b" " * (9 * 2**20)) as answer:
            assert answer.status == 413


async def test_a_thousand_at_once_are_all_answered() -> None:
    async with serving() as served:
        answers = await asyncio.gather(*(post(served, review(node_op(f"op-{n}"))) for n in range(1000)))
    assert [status for status, _ in answers] == [200] * 1000
    assert all(well_formed(answer) for _, answer in answers)


async def test_a_client_that_says_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_TIMEOUT", 0.2)
    async with serving() as served:
        reader, writer = await served.open()
        writer.write(b"POST / HT")
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


async def test_a_client_that_falls_silent_in_its_second_request_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhooks.server, "KEEP_ALIVE", 0.3)
    body = review(node_op())
    async with serving() as served:
        reader, writer = await served.open()
        head = f"POST {VALIDATE} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        writer.write(head + body)
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.write(head[:20])
        assert b"POST" not in await asyncio.wait_for(reader.read(), 10)
        writer.close()


async def test_a_client_that_sends_its_body_too_slowly_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks.server, "BODY_TIMEOUT", 0.2)
    async with serving() as served:
        reader, writer = await served.open()
        writer.write(f"POST {VALIDATE} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{{".encode())
        assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 408 ")
        writer.close()


async def test_a_slow_client_keeps_nobody_waiting() -> None:
    async with serving() as served:
        idle = [await served.open() for _ in range(50)]
        for _, writer in idle:
            writer.write(f"POST {VALIDATE} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{{".encode())
        assert (await post(served, review(node_op())))[0] == 200
        for _, writer in idle:
            writer.close()


async def test_of_too_many_connections_the_one_that_waited_longest_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhooks.server, "MAX_CONNECTIONS", 10)
    body = review(node_op())
    request = f"POST {VALIDATE} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    async with serving() as served:
        clients = []
        for _ in range(15):
            reader, writer = await served.open()
            writer.write(request)
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")
            clients.append((reader, writer))
        for reader, _ in clients[:5]:
            await asyncio.wait_for(reader.read(), 10)  # to the end: it is closed
        for reader, writer in clients[5:]:
            assert not reader.at_eof()
            writer.write(request)
            assert b"HTTP/1.1 200 " in await asyncio.wait_for(reader.readuntil(b"HTTP/1.1 200 "), 10)
        for _, writer in clients:
            writer.close()


async def test_a_client_that_leaves_in_the_middle_leaves_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as served:
        for _ in range(20):
            _, writer = await served.open()
            writer.write(f"POST {VALIDATE} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{{".encode())
            await writer.drain()
            writer.transport.abort()
        assert (await post(served, review(node_op())))[0] == 200
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_plain_http_client_is_closed_and_others_are_served() -> None:
    async with serving() as served:
        with pytest.raises(aiohttp.ClientError):
            await served.session.post(served.url(scheme="http"), data=b"{}")
        assert (await post(served, review(node_op())))[0] == 200


async def test_garbage_in_place_of_http_is_closed() -> None:
    async with serving() as served:
        reader, writer = await served.open()
        writer.write(b"\x16\x03\x01 not http \r\n\r\n" * 10)
        said = await asyncio.wait_for(reader.read(), 10)
        assert said == b"" or said.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
        writer.close()


async def test_a_new_certificate_is_served_and_open_connections_stay() -> None:
    async with serving() as served:
        assert (await post(served, review(node_op())))[0] == 200
        new = mint(["localhost"], datetime.now(UTC))
        load_into(served.context, new.certificate, new.key)
        assert (await post(served, review(node_op())))[0] == 200, "over the connection that is open"
        reader, writer = await asyncio.open_connection("localhost", served.server.port, ssl=trusting(new))
        writer.close()
        with pytest.raises(OSError, match="certificate verify failed"):
            await served.open()
        assert reader is not None


async def test_memory_does_not_grow_with_reviews() -> None:
    body = review(node_op(command=["x" * 10_000]))
    async with serving() as served:
        for _ in range(200):
            await post(served, body)
        gc.collect()
        tracemalloc.start()
        for _ in range(300):
            await post(served, body)
        gc.collect()
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert grown < 300 * 1000, "less than a tenth of what one body holds, for each"
