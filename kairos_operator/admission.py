"""The webhooks as a part of the operator process: their server, their certificate, and what they know of the cluster.

Every replica serves them, leader or not: the API server asks whichever the Service picks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
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
from webhooks.lookups import NodeLabels
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


class CacheLookups:
    """Answers from the caches; nothing is known until a cache has seen a complete list."""

    def __init__(self, nodes: Store[NodeView], namespaces: Store[NamespaceView]) -> None:
        self._nodes = nodes
        self._namespaces = namespaces
        self._labels = NodeLabels()
        nodes.subscribe(self._changed)

    def node_labels(self) -> Collection[Mapping[str, str]] | None:
        """The labels of every node."""
        return self._labels if self._nodes.resource_version else None

    def namespace_labels(self, namespace: str) -> Mapping[str, str] | None:
        """The labels of a namespace."""
        found = self._namespaces.get(namespace)
        return found.labels if found else None

    def _changed(self, old: NodeView | None, new: NodeView | None) -> None:
        node = new or old
        assert node is not None
        self._labels.observed(node.name, new.labels if new else None)


class Admission:
    """The webhooks of one replica: `serving` answers, `keep` looks after what the answers need."""

    def __init__(
        self,
        settings: Settings,
        client: KubeClient,
        clock: Clock,
        nodes: Store[NodeView],
        on_review: Callable[[str, int, float], None],
    ) -> None:
        self._port = settings.webhook_port
        self._clock = clock
        self._context = server_context()
        namespaces: Store[NamespaceView] = Store(parse_namespace)
        self._reflector = Reflector(client, NAMESPACES, namespaces, clock=clock)
        knowledge = Knowledge(settings.default_image, CacheLookups(nodes, namespaces))
        self._server = AdmissionServer(knowledge, self._context, on_review)
        place = Place(settings.namespace)
        self._own = Certificates(client, ApiError, self._context, place, clock.now)
        self._directory = settings.webhook_cert_dir
        self._files = CertificateFiles(self._context, Path(self._directory))
        self._listening = False

    def unready(self) -> str:
        """Why the webhooks cannot answer yet, or nothing."""
        if not (self._files.loaded if self._directory else self._own.ready.is_set()):
            return "no certificate yet"
        return "" if self._listening else "not listening yet"

    def certificate_ends(self) -> datetime | None:
        """When the certificate that is served ends."""
        return self._files.ends if self._directory else self._own.ends

    async def keep(self) -> None:
        """Look after the certificate and the cache of namespaces, for ever."""
        certificate = self._files.keep if self._directory else self._own.keep
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reflector.run())
            group.create_task(certificate(self._clock.sleep))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve while the block runs. Raises OSError where the port cannot be had."""
        try:
            await self._server.start("", self._port)
            self._listening = True
            yield
        finally:
            await self._server.stop()
