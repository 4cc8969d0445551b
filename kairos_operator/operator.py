"""One replica of the operator: everything wired together, and what it does while it leads.

Caches fill on every replica; only the one that holds the lease acts. On SIGTERM, or before the reboot of the own node
if another replica can go on, what is under way is finished, the Events are written and the lease is given back.
"""

from __future__ import annotations

import gc
import logging
import socket
import time
import uuid
from dataclasses import dataclass
from typing import Any

from kairos_operator.admission import Admission
from kairos_operator.core.snapshot import Images
from kairos_operator.endpoints import Endpoints
from kairos_operator.runtime.apply import Applier
from kairos_operator.runtime.backoff import Backoff
from kairos_operator.runtime.caches import Caches, filled
from kairos_operator.runtime.clock import Clock, SystemClock
from kairos_operator.runtime.controller import Controller
from kairos_operator.runtime.deeds import Deeds
from kairos_operator.runtime.events import EventRecorder
from kairos_operator.runtime.handover import HandOver
from kairos_operator.runtime.kr8s_api import Kr8sApi
from kairos_operator.runtime.kube_client import KubeClient
from kairos_operator.runtime.leader import LeaderElector
from kairos_operator.runtime.metrics import Metrics
from kairos_operator.runtime.news import Key
from kairos_operator.runtime.observe import Observer
from kairos_operator.runtime.queue import Queue
from kairos_operator.runtime.read_json import read_json
from kairos_operator.runtime.reflector import Reflector
from kairos_operator.runtime.rollout_metrics import RolloutMetrics
from kairos_operator.runtime.trim import trimmed
from kairos_operator.settings import LEASE_NAME, Settings

log = logging.getLogger(__name__)

GRACE_SECONDS = 15.0  # for what is under way when the process is told to end, a third of them for its Events


@dataclass(frozen=True, slots=True)
class Operator:
    """The parts of one replica."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    rollouts: RolloutMetrics
    caches: Caches
    reflectors: list[Reflector[Any]]
    recorder: EventRecorder
    controller: Controller
    elector: LeaderElector | None
    hand_over: HandOver
    admission: Admission | None
    endpoints: Endpoints

    @classmethod
    def assemble(cls, settings: Settings, api: Kr8sApi) -> Operator:
        """Wire the parts over one connection to a cluster."""
        clock, metrics = SystemClock(), Metrics()
        elector = _elector(settings, api, clock, metrics)
        client = KubeClient(
            api,
            fence=elector.check if elector else None,
            on_call=metrics.count_call,
            on_bytes=metrics.count_bytes,
            trim=trimmed,
            decode=read_json,
        )
        caches = Caches.empty()
        ended = {res: metrics.follow_store(res.plural, caches.size(res)) for res in caches.resources}
        reflectors = caches.reflectors(client, clock, lambda res, reason: ended[res](reason))
        recorder = EventRecorder(client, clock, instance=settings.pod_name or socket.gethostname())
        controller = _controller(settings, client, clock, caches, recorder, metrics)
        # The certificate and who may read metrics are every replica's affair, so these clients are not fenced. They
        # are two, since anybody can have tokens reviewed, and nothing else is to wait for that.
        unfenced, gate = (KubeClient(api, on_call=metrics.count_call, in_flight=2) for _ in range(2))
        admission = _admission(settings, unfenced, clock, caches, metrics)
        return cls(
            settings,
            clock,
            metrics,
            RolloutMetrics(metrics.registry, caches, clock.now),
            caches,
            reflectors,
            recorder,
            controller,
            elector,
            HandOver(unfenced, caches, clock, settings.namespace, settings.pod_name),
            admission,
            Endpoints(settings, gate, clock, metrics, caches),
        )

    def unsynced(self) -> str:
        """Which caches have not seen a complete list yet, or nothing."""
        missing = [r.resource.plural for r in self.reflectors if not r.synced.is_set()]
        return f"no complete list yet of {', '.join(missing)}" if missing else ""

    async def work(self) -> None:
        """Act on the cluster, once the caches are filled, until told to stop."""
        await filled(self.reflectors)
        # What is there now stays, and the collector need not go through it again and again.
        gc.collect()
        gc.freeze()
        self.controller.follow()
        self.rollouts.follow()
        log.info("acting on the cluster", extra={"node_ops": len(self.caches.node_ops)})
        await self.controller.run()
        await self.recorder.flush(GRACE_SECONDS / 3)  # while this replica may still write

    async def lead(self) -> None:
        """Act while holding the lease; raises NotLeader when it is lost, or was given away and nobody has it."""
        if self.elector is None:
            await self.work()
        else:
            await self.hand_over.lead(self.elector, self.work, self.controller.stop)


def _controller(
    settings: Settings,
    client: KubeClient,
    clock: Clock,
    caches: Caches,
    recorder: EventRecorder,
    metrics: Metrics,
) -> Controller:
    images = Images(settings.operator_image, settings.sentinel_image, settings.default_image)
    own_pod = f"{settings.namespace}/{settings.pod_name}" if settings.pod_name else ""
    return Controller(
        caches=caches,
        observer=Observer(client, caches, clock, images, own_pod),
        applier=Applier(Deeds(client, caches), clock, recorder),
        queue=_queue(metrics),
        clock=clock,
        on_reconcile=lambda key, seconds, trouble: metrics.count_reconcile(
            key.kind.value.kind, seconds, "error" if trouble else "success", trouble
        ),
        busy=time.thread_time,
    )


def _admission(
    settings: Settings, client: KubeClient, clock: Clock, caches: Caches, metrics: Metrics
) -> Admission | None:
    if not settings.webhook_port:
        return None
    admission = Admission(settings, client, clock, caches.nodes, metrics.count_review)
    metrics.follow_certificate("webhook", admission.certificate_ends)
    return admission


def _elector(settings: Settings, api: Kr8sApi, clock: Clock, metrics: Metrics) -> LeaderElector | None:
    if not settings.leader_elect:
        return None
    # The kubelet starts a pod's container anew only once the one before is gone, with the node's reboot or without.
    pod = f"{settings.pod_name or socket.gethostname()}_{settings.pod_uid}"
    return LeaderElector(
        KubeClient(api, on_call=metrics.count_call, in_flight=2, alone=True),
        settings.namespace,
        LEASE_NAME,
        f"{pod}_{uuid.uuid4()}",
        clock,
        lease_duration=settings.lease.duration,
        renew_deadline=settings.lease.renew_deadline,
        retry_period=settings.lease.retry_period,
        on_change=metrics.follow_lease(LEASE_NAME),
        forebears=f"{pod}_" if settings.pod_uid else "",
    )


def _queue(metrics: Metrics) -> Queue[Key]:
    depth: list[Queue[Key]] = []
    on_start = metrics.follow_queue("operations", lambda: len(depth[0]) if depth else 0)
    depth.append(Queue(Backoff(0.2, 30.0), on_start=on_start))
    return depth[0]
