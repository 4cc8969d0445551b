"""The operator's own certificate on a real API server: told, used, rotated twice and repaired, while it is called.

`KAIROS_LOAD_SECONDS` makes the load last longer.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from kairos_operator.api.resources import MUTATING_WEBHOOKS, NODE_OPS, SECRETS, VALIDATING_WEBHOOKS
from kairos_operator.runtime.errors import ApiError, Invalid
from kairos_operator.runtime.kr8s_api import Kr8sApi
from kairos_operator.runtime.kube_client import KubeClient
from tests.cluster.controlplane import Cluster
from tests.webhooks.objects import node_op
from tests.webhooks.real import NAMES, SETTLING, with_crds
from webhooks.certificates import Certificates, Place
from webhooks.configurations import by_url, mutating_configuration, validating_configuration
from webhooks.keychain import Timing
from webhooks.review import Knowledge
from webhooks.server import AdmissionServer, server_context

pytestmark = pytest.mark.realcluster
MUTATING, VALIDATING = NAMES.values()
ROTATION, REPAIR = "webhook-rotation", "webhook-repair"  # a namespace for each test
SECONDS = float(os.environ.get("KAIROS_LOAD_SECONDS", "8"))
CREATES_PER_SECOND = 100
TIMING = Timing(settle=timedelta(seconds=2), retire=timedelta(seconds=2))


@asynccontextmanager
async def connected(cluster: Cluster) -> AsyncIterator[KubeClient]:
    """The operator's own client."""
    api = await Kr8sApi.connect(str(cluster.kubeconfig))
    try:
        yield KubeClient(api)
    finally:
        await api.close()


@asynccontextmanager
async def served(
    client: KubeClient, namespace: str, reviews: list[int] | None = None
) -> AsyncIterator[Certificates]:
    """A server that the API server has been told of, but for the CA, and the keeper of its certificate.

    The HTTP status of each review that is answered goes into `reviews`.
    """
    context, answered = server_context(), reviews if reviews is not None else []
    server = AdmissionServer(Knowledge(), context, lambda path, code, seconds: answered.append(code))
    await server.start("127.0.0.1", 0)
    place = Place(namespace, mutating=(MUTATING,), validating=(VALIDATING,), further_names=("localhost",))
    target = by_url(f"https://localhost:{server.port}", "")
    await client.create(MUTATING_WEBHOOKS, mutating_configuration(MUTATING, target))
    await client.create(VALIDATING_WEBHOOKS, validating_configuration(VALIDATING, target))
    try:
        yield Certificates(client, ApiError, context, place, lambda: datetime.now(UTC), TIMING)
    finally:
        await client.delete(MUTATING_WEBHOOKS, MUTATING)
        await client.delete(VALIDATING_WEBHOOKS, VALIDATING)
        await server.stop()


async def called(client: KubeClient, namespace: str) -> bool:
    """Whether the API server reaches the webhook now; it says so by refusing what only the webhook refuses."""
    probe = node_op("probe", image="a b")
    probe["metadata"] = {"name": "probe"}
    try:
        await client.create(NODE_OPS, probe, namespace, dry_run=True)
    except Invalid:
        return True
    except ApiError:
        return False
    return False


async def until_called(client: KubeClient, namespace: str) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SETTLING
    while not await called(client, namespace):
        assert loop.time() < deadline, "the API server does not call the webhook"
        await asyncio.sleep(0.1)


async def allowed(client: KubeClient, namespace: str, failures: list[str]) -> None:
    """One create that both webhooks let in; that they were asked shows in the image, which no schema fills in."""
    probe = node_op("probe")
    del probe["spec"]["image"]
    probe["metadata"] = {"name": "probe"}
    try:
        made = await client.create(NODE_OPS, probe, namespace, dry_run=True)
    except ApiError as error:
        failures.append(error.message)
    else:
        if "image" not in made["spec"]:
            failures.append("not asked")


async def load(client: KubeClient, namespace: str, over: asyncio.Event) -> tuple[int, list[str]]:
    """Creates at a steady rate, however long each of them takes, until told; how many, and what went wrong."""
    loop, failures, count = asyncio.get_running_loop(), list[str](), 0
    begun = loop.time()
    async with asyncio.TaskGroup() as group:
        while not over.is_set():
            await asyncio.sleep(max(0.0, begun + count / CREATES_PER_SECOND - loop.time()))
            group.create_task(allowed(client, namespace, failures))
            count += 1
    return count, failures


async def test_a_real_api_server_calls_on_while_the_ca_rotates_twice(real_control_plane: Cluster) -> None:
    """Each create is two reviews, so this is 200 of them a second."""
    if not real_control_plane.reaches_loopback:
        pytest.skip("the API server cannot call a webhook on this machine's loopback")
    with with_crds(real_control_plane, ROTATION):
        reviews: list[int] = []
        async with (
            connected(real_control_plane) as client,
            served(client, ROTATION, reviews) as certificates,
        ):
            first = (await certificates.step()).current
            await until_called(client, ROTATION)
            over, cas, began = asyncio.Event(), {first.ca}, asyncio.get_running_loop().time()
            creates = asyncio.create_task(load(client, ROTATION, over))
            while len(cas) < 3 or (await certificates.step()).previous_ca or seconds_since(began) < SECONDS:
                chain = await certificates.step(renew=len(cas) < 3)
                cas.add(chain.current.ca)
                await asyncio.sleep(0.1)
            over.set()
            count, failures = await creates
            assert failures == []
            assert len(cas) == 3
            assert len(reviews) >= 2 * count >= 2 * CREATES_PER_SECOND
            assert set(reviews) == {200}


def seconds_since(began: float) -> float:
    return asyncio.get_running_loop().time() - began


async def test_a_ca_bundle_that_somebody_broke_is_repaired(real_control_plane: Cluster) -> None:
    if not real_control_plane.reaches_loopback:
        pytest.skip("the API server cannot call a webhook on this machine's loopback")
    with with_crds(real_control_plane, REPAIR):
        async with connected(real_control_plane) as client, served(client, REPAIR) as certificates:
            await certificates.step()
            await until_called(client, REPAIR)
            broken = [{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]
            await client.patch(MUTATING_WEBHOOKS, MUTATING, broken, kind="json")
            await client.delete(SECRETS, certificates.place.secret, REPAIR)
            await certificates.step()
            await until_called(client, REPAIR)
            configuration = await client.get(MUTATING_WEBHOOKS, MUTATING)
            assert all(hook["clientConfig"]["caBundle"] for hook in configuration["webhooks"])
            assert (await client.get(SECRETS, certificates.place.secret, REPAIR))[
                "type"
            ] == "kubernetes.io/tls"
