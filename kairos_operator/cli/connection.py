"""The way to the cluster: the kubeconfig, context and namespace that kubectl would use, and the caller's rights."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from kairos_operator.api.resources import Resource
from kairos_operator.cli.exits import Exit, Trouble
from kairos_operator.cli.proxies import proxy_to
from kairos_operator.runtime.client import Client, Listing
from kairos_operator.runtime.errors import NoCluster
from kairos_operator.runtime.kr8s_api import Kr8sApi
from kairos_operator.runtime.kube_client import KubeClient
from kairos_operator.runtime.login import SERVICE_ACCOUNT

PAGE = 500  # objects in one answer; the operator, which keeps its memory small, asks for fewer at once


@dataclass(frozen=True, slots=True)
class Access:
    """What the flags say about which cluster and which namespace."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None
    all_namespaces: bool = False


@dataclass(frozen=True, slots=True)
class Cluster:
    """A connection to a cluster, seen from one namespace."""

    client: Client
    api: Kr8sApi
    namespace: str
    all_namespaces: bool = False

    @property
    def scope(self) -> str | None:
        """The namespace that lists are for; None for all of them."""
        return None if self.all_namespaces else self.namespace

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Listing:
        """All objects that match, in pages of kubectl's size; None for the namespace means all. Raises ApiError."""
        return await self.client.list(
            resource, namespace, label_selector=label_selector, field_selector=field_selector, limit=PAGE
        )


@asynccontextmanager
async def connected(access: Access) -> AsyncIterator[Cluster]:
    """A connection for as long as a command takes. Raises Trouble where there is no usable kubeconfig."""
    try:
        api = await Kr8sApi.connect(_kubeconfig(access), access.context, usual_proxy=proxy_to)
    except (NoCluster, TimeoutError) as error:
        raise Trouble(str(error) or "logging in took too long", Exit.UNREACHABLE) from error
    try:
        namespace = access.namespace or api.namespace or "default"
        yield Cluster(KubeClient(api), api, namespace, access.all_namespaces)
    finally:
        await api.close()


def _kubeconfig(access: Access) -> str | None:
    """Where kubectl would look: the flag, $KUBECONFIG, ~/.kube/config, and in a pod its service account."""
    named = access.kubeconfig or os.environ.get("KUBECONFIG")
    if named:
        return named
    usual = Path.home() / ".kube" / "config"
    if not usual.is_file() and Path(SERVICE_ACCOUNT, "token").is_file():
        return None
    return str(usual)
