"""Why Jobs have no pods.

The Job controller tells only an Event, so the API server is asked whether it would take such a pod: a dry run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from kairos_operator.api.resources import PODS
from kairos_operator.core.manifests import job_pod
from kairos_operator.core.snapshot import Snapshot
from kairos_operator.core.work import NO_POD_SECONDS, without_pods
from kairos_operator.runtime.client import Client
from kairos_operator.runtime.clock import Clock
from kairos_operator.runtime.errors import ApiError, TooManyRequests, Unreachable
from kairos_operator.runtime.memory import Memory

ANSWER_SECONDS = (
    3.0  # that an answer is waited for: the whole look waits with it, and what it has read grows old
)
_ASKED_AT_ONCE = 4  # what is against one pod of an operation is against the others, too


@dataclass(frozen=True, slots=True)
class PodRefusals:
    """Asks the API server; nothing is decided by its answers, so that there is none holds nothing up."""

    client: Client
    clock: Clock

    async def of(self, snapshot: Snapshot, memory: Memory) -> Mapping[str, str]:
        """What is against the pods of Jobs that have long had none, by node: of a few nodes at a time."""

        async def on(node: str) -> tuple[str, str]:
            asked, answer = memory.pod_refusals.get(node, (float("-inf"), ""))
            if self.clock.monotonic() - asked >= NO_POD_SECONDS:
                answer = await self._on(snapshot, node)
                memory.pod_refusals[node] = (self.clock.monotonic(), answer)
            return node, answer

        nodes = without_pods(snapshot)[:_ASKED_AT_ONCE]
        return dict(await asyncio.gather(*(on(node) for node in nodes)))

    async def _on(self, snapshot: Snapshot, node: str) -> str:
        try:
            body = job_pod(snapshot, node)
            async with asyncio.timeout(ANSWER_SECONDS):
                await self.client.create(PODS, body, snapshot.op.meta.namespace, dry_run=True)
        except (TooManyRequests, Unreachable, TimeoutError):
            return ""  # which says nothing of the pod
        except ApiError as refusal:
            return refusal.message  # a webhook that is down is one, with code 500
        return ""
