"""A kubeconfig may have a password in the URL of its server or proxy: what is said of a failure does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kairos_operator.api.resources import NODES
from kairos_operator.runtime.errors import Unreachable
from kairos_operator.runtime.kr8s_api import Kr8sApi
from kairos_operator.runtime.kube_client import KubeClient
from kairos_operator.runtime.login import without_userinfo
from tests.runtime.stub import Stub

REFUSED = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"


@asynccontextmanager
async def _proxy(answer: bytes) -> AsyncIterator[int]:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _said(cluster: dict[str, Any], **user: Any) -> str:
    config = Stub().kubeconfig(**user)
    config["clusters"][0]["cluster"] = cluster
    api = await Kr8sApi.connect(config)
    assert "hunter2" not in repr(api._current_login())
    try:
        with pytest.raises(Unreachable) as found:
            await KubeClient(api).get(NODES, "n")
    finally:
        await api.close()
    return str(found.value)


@pytest.mark.parametrize("answer", [REFUSED, b"", b"what?\r\n\r\n"])
async def test_a_proxy_that_refuses(answer: bytes) -> None:
    async with _proxy(answer) as port:
        proxy = f"http://user:hunter2@127.0.0.1:{port}"
        said = await _said({"server": "https://10.1.2.3:6443", "proxy-url": proxy})
    assert said.startswith("no answer from https://10.1.2.3:6443: ")
    assert "hunter2" not in said
    assert answer is not REFUSED or said.endswith(": 407 Proxy Authentication Required")


async def test_a_server_that_is_not_there() -> None:
    said = await _said({"server": "http://user:hunter2@127.0.0.1:1"}, token="")
    assert said.startswith("no answer from http://127.0.0.1:1: ")
    assert "hunter2" not in said


def test_only_what_is_before_the_host_goes() -> None:
    for said, left in (
        ("https://u:p@w@h:1/a@b", "https://h:1/a@b"),
        ("no URL: somebody@example.org", "no URL: somebody@example.org"),
        ("URL('http://u@h/') and https://h/@", "URL('http://h/') and https://h/@"),
    ):
        assert without_userinfo(said) == left
