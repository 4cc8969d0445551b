"""The end of one replica: Events are written while it may still write; the lease is given back after that."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from kairos_operator.operator import Operator
from tests.runtime.leadership import replicas, until
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
