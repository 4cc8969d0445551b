"""The operator's own share of a slot's pause, from the API server's audit log.

Rules:
- a slot is free once the API server has answered the write that gives the node back (the operator's last to that node);
- the next node's first write is that of the status which starts it: the last one that was answered before its
  preflight pod was asked for;
- of C slots, the k-th that becomes free is that of the (C + k)-th node.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

LOG = "audit.log"
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [
        {
            "level": "Metadata",
            "verbs": ["create", "patch"],
            "resources": [
                {"group": "", "resources": ["nodes", "pods"]},
                {"group": "operator.kairos.io", "resources": ["nodeops/status"]},
            ],
        },
        {"level": "None"},
    ],
}


def flags(directory: Path) -> tuple[str, ...]:
    """The API server's flags for a log in this directory."""
    policy = directory / "audit-policy.json"
    policy.write_text(json.dumps(POLICY))
    return f"--audit-policy-file={policy}", f"--audit-log-path={directory / LOG}", "--audit-log-mode=batch"


def slot_latencies(log: Path, concurrency: int) -> list[float]:
    """Seconds from each freed slot to the first write for the node that got it; none where there is no such log."""
    if not log.exists():
        return []  # a cluster whose API server is not ours
    released: dict[str, float] = {}
    statuses: list[tuple[float, float]] = []
    asked: list[float] = []
    for event in _written_by_the_operator(log):
        began, ended = _seconds(event["requestReceivedTimestamp"]), _seconds(event["stageTimestamp"])
        match event["objectRef"]:
            case {"resource": "nodes", "name": node}:
                released[node] = max(ended, released.get(node, 0.0))
            case {"resource": "nodeops"}:
                statuses.append((ended, began))
            case {"resource": "pods", "name": pod} if "-preflight-" in pod:
                asked.append(began)
    statuses.sort()
    firsts = [max(status for status in statuses if status[0] <= at)[1] for at in asked]
    later = sorted(firsts)[concurrency or len(firsts) :]
    return [first - free for first, free in zip(later, sorted(released.values()), strict=False)]


def _written_by_the_operator(log: Path) -> Iterator[Mapping[str, Any]]:
    for line in log.read_text().splitlines():
        event: dict[str, Any] = json.loads(line)
        done = event.get("responseStatus", {}).get("code", 0) < 400
        if done and event.get("userAgent", "").startswith("kairos-operator/"):
            yield event


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
