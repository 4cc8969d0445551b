"""Reviews go on while the CA rotates: not one fails. `KAIROS_LOAD_SECONDS` makes the load last longer."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.webhooks.load import Tally, steady
from tests.webhooks.memory import ApiServer, Refused
from tests.webhooks.objects import node_op, review
from tests.webhooks.serving import MUTATE
from webhooks.certificates import Certificates, Place
from webhooks.keychain import Timing
from webhooks.review import Knowledge
from webhooks.server import AdmissionServer, server_context

SECONDS = float(os.environ.get("KAIROS_LOAD_SECONDS", "8"))
RATE = 200
PLACE = Place("kairos-system", mutating=("m",), validating=("v",), further_names=("localhost",))
TIMING = Timing(settle=timedelta(seconds=1), retire=timedelta(seconds=1))
STEP = 0.1


async def rotate(certificates: Certificates, times: int, over: Callable[[], bool]) -> int:
    """Steps all the time, and renews as often as asked, one renewal after the other; how many were finished."""
    finished, first = 0, (await certificates.step()).current.ca
    while not over():
        chain = await certificates.step(renew=finished < times)
        if chain.current.ca != first and not chain.previous_ca:
            first, finished = chain.current.ca, finished + 1
        await asyncio.sleep(STEP)
    return finished


@pytest.mark.slow
async def test_not_one_review_fails_while_the_ca_rotates_twice() -> None:
    """Half of them over connections of their own, whose certificate is checked against the caBundle of that moment."""
    api, context = ApiServer(), server_context()
    certificates = Certificates(api, Refused, context, PLACE, lambda: datetime.now(UTC), TIMING)
    first = await certificates.step()
    server = AdmissionServer(Knowledge(), context)
    await server.start("127.0.0.1", 0)
    contexts: dict[str, ssl.SSLContext] = {}

    def trust() -> ssl.SSLContext:
        (bundle,) = api.bundles()
        if bundle not in contexts:
            contexts[bundle] = ssl.create_default_context(cadata=base64.b64decode(bundle).decode())
        return contexts[bundle]

    loads: list[asyncio.Task[Tally]] = [
        asyncio.create_task(
            steady(
                f"https://localhost:{server.port}{MUTATE}",
                review(node_op()),
                rate=RATE / 2,
                count=int(SECONDS * RATE / 2),
                trust=trust,
                reuse=reuse,
            )
        )
        for reuse in (True, False)
    ]
    finished = await rotate(certificates, 2, lambda: all(load.done() for load in loads))
    tallies = [await load for load in loads]
    await server.stop()
    assert [tally.failures for tally in tallies] == [[], []]
    assert sum(tally.answered for tally in tallies) == int(SECONDS * RATE / 2) * 2
    assert finished == 2
    assert first.current.ca.decode() not in base64.b64decode(next(iter(api.bundles()))).decode()
    assert len(contexts) >= 4, "old, old and new, new, and so on: both rotations went through all stages"
