"""The end of one replica: Events are written while it may still write; the lease is given back after that, at once;
reviews are answered for some seconds more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kairos_operator.operator import Operator
from kairos_operator.process import run_until, served
from kairos_operator.runtime.health import Check
from tests.runtime.leadership import Replica, replicas, until
from tests.runtime.test_settings import home as home  # the fixture
from tests.runtime.test_settings import settings
from tests.runtime.virtual import run


def test_events_are_written_before_the_lease_is_given_back() -> None:
    async def main() -> None:
        leases, (a,) = replicas(1)
        told, written = asyncio.Event(), list[str]()

        async def flush(seconds: float) -> None:
            await asyncio.sleep(seconds / 2)
            a.elector.check()
            written.append(leases.spec["holderIdentity"])

        nothing = SimpleNamespace(follow=lambda: None, node_ops=())
        parts: dict[str, Any] = dict.fromkeys(Operator.__slots__, nothing)
        parts |= {
            "reflectors": [],
            "recorder": SimpleNamespace(flush=flush),
            "controller": SimpleNamespace(follow=lambda: None, run=told.wait),
        }
        operator = Operator(**cast(Any, parts))
        a.task = asyncio.create_task(a.elector.run(operator.work))
        await until(a.may_write)
        told.set()
        await a.task
        assert written == ["r0"]
        assert leases.spec["holderIdentity"] == ""

    run(main)


class Served:
    """What a replica serves: whether it does, and what its probe says."""

    def __init__(self) -> None:
        self.reviews = False
        self.ready: Mapping[str, Check] = {}

    @asynccontextmanager
    async def serving(self, *checks: Mapping[str, Check]) -> AsyncIterator[None]:
        """Both the webhooks, which have no checks, and the endpoints."""
        if checks:
            self.ready = checks[1]
        else:
            self.reviews = True
        yield
        self.reviews = False

    def unready(self) -> list[str]:
        """What the probe finds fault with."""
        return [name for name, told in self.ready.items() if told()]


async def _for_ever() -> None:
    await asyncio.Event().wait()


def _operator(replica: Replica, seen: Served) -> Operator:
    """A replica that leads without any work, and serves."""
    runs = SimpleNamespace(run=_for_ever, keep=_for_ever, serving=seen.serving, unready=lambda: "")
    parts: dict[str, Any] = dict.fromkeys(Operator.__slots__, runs)
    parts |= {
        "reflectors": [],
        "metrics": SimpleNamespace(count_lag=lambda _: None),
        "controller": SimpleNamespace(stop=lambda: None, running=False),
        "elector": replica.elector,
        "hand_over": SimpleNamespace(lead=lambda elector, _work, _stop: elector.run(replica.work)),
    }
    return Operator(**cast(Any, parts))


@pytest.mark.parametrize("seconds", [0.0, 5.0])
def test_reviews_are_answered_for_a_while_after_the_lease_is_given_back(seconds: float) -> None:
    async def main() -> None:
        leases, (a,) = replicas(1)
        told, seen = asyncio.Event(), Served()
        operator = _operator(a, seen)

        async def process() -> int:
            async with served(operator, told):
                return await run_until(told, operator, seconds)

        running = asyncio.create_task(process())
        await until(lambda: a.may_write() and a.working == 1)
        assert (seen.reviews, seen.unready()) == (True, [])
        told.set()
        took = await until(lambda: leases.spec["holderIdentity"] == "")
        assert took < 1
        assert seen.unready() == ["end"]
        took += await until(lambda: not seen.reviews)
        assert took == pytest.approx(seconds, abs=0.5)
        assert await running == 0

    run(main)


def test_only_a_pod_that_serves_reviews_waits(home: Path) -> None:
    in_pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    (home / "account").mkdir()
    (home / "account" / "token").write_text("t")
    assert settings(home, **in_pod).behind_service
    assert not settings(home, "--webhook-port=0", **in_pod).behind_service
    assert not settings(home).behind_service
