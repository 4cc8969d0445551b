"""What an installation brings: the CRDs, the webhooks' configurations, and the operator itself, here as a program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import yaml

from kairos_operator.api.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    MUTATING_WEBHOOKS,
    NAMESPACES,
    VALIDATING_WEBHOOKS,
    Resource,
)
from kairos_operator.runtime.kube_client import KubeClient
from tests.sandbox.demo.children import REPOSITORY, Child
from tests.waiting import eventually
from webhooks.certificates import Place
from webhooks.configurations import by_service, mutating_configuration, validating_configuration

NAMESPACE = "kairos-operator-system"
PLACE = Place(NAMESPACE)
WEBHOOK_SERVICE = f"{NAMESPACE}/{PLACE.service}"
OPERATOR_ENVIRONMENT = {
    "OPERATOR_IMAGE": "quay.io/kairos/operator-py:demo",
    "CONTROLLER_POD_NAMESPACE": NAMESPACE,
    "PYTHONUNBUFFERED": "1",
}
_SERVICES = Resource("", "v1", "Service", "services")


async def definitions(client: KubeClient) -> None:
    """Create the CRDs of crds/ and wait until they are served."""
    for path in sorted((REPOSITORY / "crds").glob("operator.kairos.io_*.yaml")):
        await client.create(CUSTOM_RESOURCE_DEFINITIONS, yaml.safe_load(path.read_text()))

    async def established() -> bool:
        return all(_established(one) for one in (await client.list(CUSTOM_RESOURCE_DEFINITIONS)).items)

    await eventually(established)


def _established(definition: dict[str, Any]) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


async def webhooks(client: KubeClient, port: int) -> None:
    """Tell the API server of webhooks that listen on this machine's loopback."""
    await client.create(
        NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    )
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": PLACE.service},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    }
    await client.create(_SERVICES, service, NAMESPACE)
    where = by_service(PLACE.service, NAMESPACE, port)
    for res, body in (
        (MUTATING_WEBHOOKS, mutating_configuration(PLACE.mutating[0], where)),
        (VALIDATING_WEBHOOKS, validating_configuration(PLACE.validating[0], where)),
    ):
        await client.create(res, body)


def operator_command(kubeconfig: Path, probe_port: int, webhook_port: int) -> list[str]:
    """`kairos-operator run`, as `python -m` takes it; a `webhook_port` of 0 is no webhooks."""
    flags = {
        "kubeconfig": kubeconfig,
        "health-probe-bind-address": f"127.0.0.1:{probe_port}",
        "webhook-port": webhook_port,
    }
    return ["kairos_operator", "run", *(f"--{name}={value}" for name, value in flags.items())]


async def operator_ready(probe_port: int, operator: Child) -> None:
    """Wait for the operator's /readyz. Raises ChildEndedError where it ends, TimeoutError where that never comes."""
    async with aiohttp.ClientSession() as session:

        async def ready() -> bool:
            operator.check()
            return await _answers_ok(session, f"http://127.0.0.1:{probe_port}/readyz")

        await eventually(ready)


async def _answers_ok(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False
