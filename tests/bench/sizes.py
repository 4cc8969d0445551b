"""How large a NodeOp's status is when all is over, for node names and messages of several lengths: as it would be with
every detail, and as it is stored.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

from kairos_operator.api.names import Role, child_name
from kairos_operator.api.status import NodePhase, NodeStatus, Outcome, RebootStatus, Step
from kairos_operator.core.folding import fitted, message_limit
from kairos_operator.core.site import bounded

LIMIT = 1_572_864  # etcd's --max-request-bytes
NODES = 5000
_NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_NAMES = {
    "short names (worker-0001)": 11,
    "cloud names (ip-10-0-12-34.eu-central-1.compute.internal)": 44,
    "as long as a hostname can be (63 characters)": 63,
    "as long as a node name can be (253 characters)": 253,
}
_MESSAGES = {
    "no message": 0,
    "60 characters": 60,
    "300 characters": 300,
    "1,024 characters": 1024,
}


def entries(nodes: int, name: int, message: int) -> dict[str, NodeStatus]:
    """The entries of nodes that are done, with names and messages of so many characters."""
    found = {}
    for number in range(nodes):
        node = f"{number:05}".rjust(name, "n")
        found[node] = NodeStatus(
            phase=NodePhase.COMPLETED,
            job_name=child_name(
                "kairos-upgrade-x7k2p", "3b0c1f9e-6a53-4c1b-8f6e-2a58b9d7e101", node, Role.JOB
            ),
            message="m" * message or None,
            reboot_status=RebootStatus.COMPLETED,
            last_updated=_NOW,
            step=Step.DONE,
            step_started_at=_NOW,
            started_at=_NOW,
            outcome=Outcome.COMPLETED,
        )
    return found


def stored(found: dict[str, NodeStatus]) -> int:
    """Bytes of the entries as etcd stores them."""
    return len(json.dumps({name: one.render() for name, one in found.items()}, separators=(",", ":")))


def kept(found: dict[str, NodeStatus]) -> dict[str, NodeStatus]:
    """The entries as they are stored: with messages as long as there is room for, and folded where they must be."""
    limit = message_limit(len(found))
    short = {
        name: one.model_copy(update={"message": bounded(one.message or "", limit) or None})
        for name, one in found.items()
    }
    return fitted({}, short)


def markdown() -> str:
    """Sizes for all lengths, as a Markdown table."""
    lines = [f"| {NODES:,} nodes | " + " | ".join(_MESSAGES) + " |", "|---|" + "---|" * len(_MESSAGES)]
    for title, name in _NAMES.items():
        cells = []
        for size in _MESSAGES.values():
            whole = entries(NODES, name, size)
            cells.append(f"{stored(whole) / 1e6:.2f} -> {stored(kept(whole)) / 1e6:.2f} MB")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"etcd refuses more than {LIMIT / 1e6:.2f} MB."])
