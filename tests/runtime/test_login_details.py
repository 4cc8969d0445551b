"""What goes with each request besides the credentials, and what the answer says of the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kairos_operator.api.resources import NODES
from kairos_operator.runtime.errors import NoCluster, Unreachable
from kairos_operator.runtime.kr8s_api import Kr8sApi
from kairos_operator.runtime.kube_client import KubeClient
from tests.runtime.test_login import secure, whoami


async def test_whom_a_user_acts_as_is_told(tmp_path: Path) -> None:
    async with secure(tmp_path) as server:
        user = {
            "token": "t",
            "as": "viewer",
            "as-uid": "u-1",
            "as-groups": ["readers", "night shift"],
            "as-user-extra": {"reason/for": ["a", "b"]},
        }
        assert await whoami(server.config(user, **server.ca_data)) == (
            "Bearer t; Impersonate-User: viewer; Impersonate-Uid: u-1; Impersonate-Group: readers;"
            " Impersonate-Group: night shift; Impersonate-Extra-reason%2Ffor: a; Impersonate-Extra-reason%2Ffor: b"
        )


async def test_a_proxy_that_speaks_another_protocol_is_refused(tmp_path: Path) -> None:
    async with secure(tmp_path) as server:
        config = server.config({"token": "t"}, **server.ca_data, **{"proxy-url": "socks5://127.0.0.1:1"})
        with pytest.raises(NoCluster, match="socks5://"):
            await whoami(config)


async def test_the_usual_proxy_is_asked_where_the_kubeconfig_names_none(tmp_path: Path) -> None:
    asked: list[str] = []

    def nowhere(server: str) -> str:
        asked.append(server)
        return "http://127.0.0.1:1"

    async with secure(tmp_path) as server:
        with pytest.raises(Unreachable):
            await whoami(server.config({"token": "t"}, **server.ca_data), usual_proxy=nowhere)
        assert asked == [f"https://127.0.0.1:{server.port}"]


async def test_the_server_says_what_time_it_is(tmp_path: Path) -> None:
    async with secure(tmp_path) as server:
        api = await Kr8sApi.connect(server.config({"token": "t"}, **server.ca_data))
        try:
            assert api.server_time is None
            await KubeClient(api).get(NODES, "who")
            assert api.server_time is not None
            assert abs(api.server_time - datetime.now(UTC)) < timedelta(minutes=1)
        finally:
            await api.close()
