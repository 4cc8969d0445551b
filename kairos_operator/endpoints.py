"""What a replica serves besides the webhooks: probes, metrics and the status page, each on an address of its own.

Probes are plain, since the kubelet asks for them. Metrics go over HTTPS to whom the API server lets `get /metrics`; or,
with `--metrics-secure=false`, plainly, on loopback only. The status page is plain and open on loopback, where only who
may forward a port reaches it; elsewhere it goes over HTTPS to whom the API server lets `get /status`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

from aiohttp import web

from kairos_operator.runtime import health
from kairos_operator.runtime.authn import Gate, guard
from kairos_operator.runtime.caches import Caches
from kairos_operator.runtime.clock import Clock
from kairos_operator.runtime.kube_client import KubeClient
from kairos_operator.runtime.metrics import Metrics
from kairos_operator.settings import Address, Settings
from kairos_operator.status_page.app import status_app
from webhooks.files import CertificateFiles
from webhooks.keys import load_into, mint
from webhooks.server import server_context

# Nobody verifies our own certificate, as with controller-runtime's; it lasts longer than any process.
OWN_LIFETIME = timedelta(days=3650)


class Endpoints:
    """The servers of one replica: `serving` answers, `keep` looks after their certificate."""

    def __init__(
        self, settings: Settings, client: KubeClient, clock: Clock, metrics: Metrics, caches: Caches
    ) -> None:
        self._settings = settings
        self._caches = caches
        self._clock = clock
        self._metrics = metrics
        self._gate = Gate(client, clock)
        self._context = server_context()
        self._files: CertificateFiles | None = None
        if settings.metrics_cert_path:
            self._files = CertificateFiles(self._context, Path(settings.metrics_cert_path))
            files = self._files
            metrics.follow_certificate("metrics", lambda: files.ends)

    async def keep(self) -> None:
        """Look after the certificate, for ever."""
        if self._files is not None:
            await self._files.keep(self._clock.sleep)
        await asyncio.Event().wait()

    @asynccontextmanager
    async def serving(
        self, live: Mapping[str, health.Check], ready: Mapping[str, health.Check]
    ) -> AsyncIterator[None]:
        """Serve while the block runs. Raises OSError where an address cannot be had."""
        settings = self._settings
        if self._files is None and self._over_tls:
            names = (f"kairos-operator-metrics.{settings.namespace}.svc", "localhost")
            own = mint(names, self._clock.now(), OWN_LIFETIME)
            load_into(self._context, own.certificate, own.key)
        async with AsyncExitStack() as stack:
            if settings.health_address is not None:
                probes = health.probe_app(live, ready)
                await stack.enter_async_context(_plain(probes, settings.health_address))
            if settings.metrics_address is not None:
                app = health.metrics_app(self._metrics.registry)
                server = (
                    self._guarded(app, settings.metrics_address, "/metrics")
                    if settings.metrics_secure
                    else _plain(app, settings.metrics_address)
                )
                await stack.enter_async_context(server)
            if settings.status_address is not None:
                await stack.enter_async_context(self._status_page(settings.status_address))
            yield

    @property
    def _over_tls(self) -> bool:
        found = self._settings
        page = found.status_address is not None and not found.status_address.loopback
        return page or (found.metrics_address is not None and found.metrics_secure)

    def _status_page(self, address: Address) -> health.Serving:
        if address.loopback:
            return _plain(status_app(self._caches, own_host_only=True), address)
        return self._guarded(status_app(self._caches), address, "/status")

    def _guarded(self, app: web.Application, address: Address, path: str) -> health.Serving:
        """The app over HTTPS, for those who may `get` the path."""
        return health.serving(guard(app, self._gate, path), address.host, address.port, self._context)


def _plain(app: web.Application, address: Address) -> health.Serving:
    return health.serving(app, address.host, address.port)
