"""The webhooks as a part of the operator process: their server, their certificate, and what they know of the cluster.

Every replica serves them, leader or not: the API server asks whichever the Service picks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kairos_operator.api.cluster import NodeView
from kairos_operator.api.resources import NAMESPACES
from kairos_operator.runtime.clock import Clock
from kairos_operator.runtime.errors import ApiError
from kairos_operator.runtime.kube_client import KubeClient
from kairos_operator.runtime.reflector import Reflector
from kairos_operator.runtime.store import Store
from kairos_operator.settings import Settings
from webhooks.certificates import Certificates, Place
from webhooks.files import CertificateFiles
from webhooks.review import Knowledge
from webhooks.server import AdmissionServer, server_context


@dataclass(frozen=True, slots=True)
class NamespaceView:
    """A Namespace as warnings see it."""

    name: str
    labels: Mapping[str, str]


def parse_namespace(obj: Mapping[str, Any]) -> NamespaceView:
    """The view of a v1 Namespace."""
    return NamespaceView(obj["metadata"]["name"], obj["metadata"].get("labels") or {})


@dataclass(frozen=True, slots=True)
class CacheLookups:
    """Answers from the caches; nothing is known until a cache has seen a complete list."""

    nodes: Store[NodeView]
    namespaces: Store[NamespaceView]

    def node_labels(self) -> Collection[Mapping[str, str]] | None:
        """The labels of every node."""
        if not self.nodes.resource_version:
            return None
        return [node.labels for node in self.nodes.values()]

    def namespace_labels(self, namespace: str) -> Mapping[str, str] | None:
        """The labels of a namespace."""
        found = self.namespaces.get(namespace)
        return found.labels if found else None


class Admission:
    """The webhooks of one replica; `serving` runs them while its block does."""

    def __init__(self, settings: Settings, client: KubeClient, clock: Clock, nodes: Store[NodeView]) -> None:
        self._settings = settings
        self._clock = clock
        self._context = server_context()
        self._namespaces: Store[NamespaceView] = Store(parse_namespace)
        self._reflector = Reflector(client, NAMESPACES, self._namespaces, clock=clock)
        lookups = CacheLookups(nodes, self._namespaces)
        self._server = AdmissionServer(Knowledge(settings.default_image, lookups), self._context)
        self._own = None
        if not settings.webhook_cert_dir:
            place = Place(settings.namespace)
            self._own = Certificates(client, ApiError, self._context, place, clock.now)
        self._files = CertificateFiles(self._context, Path(settings.webhook_cert_dir or "."))
        self._listening = False

    def unready(self) -> str:
        """Why the webhooks cannot answer yet, or nothing."""
        if self._own is not None and not self._own.ready.is_set():
            return "no certificate yet"
        return "" if self._listening else "not listening yet"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve while the block runs. Raises OSError where the port cannot be had."""
        keep = self._own.keep if self._own is not None else self._files.keep
        tasks = [asyncio.create_task(self._reflector.run()), asyncio.create_task(keep(self._clock.sleep))]
        try:
            await self._server.start("", self._settings.webhook_port)
            self._listening = True
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._server.stop()
