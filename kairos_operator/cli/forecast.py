"""What an operation would do, from the same core that does it. Pure.

The order and the first batch are the rollout's, the fate of each pod is the drain's. What cannot be known beforehand
(how long a node takes, what the image says when it is asked) is not guessed; a skip is called likely where the node's
labels and the image's tag say the same version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from kairos_operator.api.cluster import NodeView, PodView
from kairos_operator.api.nodeop import DrainOptions
from kairos_operator.api.nodeopupgrade import NodeOpUpgradeSpec
from kairos_operator.api.objects import NodeOp
from kairos_operator.api.status import NodeStatus, Step
from kairos_operator.cli.budgets import Budget
from kairos_operator.cli.operations import Operation, as_node_op
from kairos_operator.core.drain import Blocked, Busy, Evict, Leave, classify
from kairos_operator.core.rollout import in_order, next_in_line
from kairos_operator.core.site import Site
from kairos_operator.core.snapshot import Images, Snapshot
from webhooks.references import NotAnImage, parse_image


class Gravity(StrEnum):
    """How much a remark matters."""

    STOPS = "stops"  # it would not move, or fail
    RISK = "risk"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to know before it starts, and the way out."""

    gravity: Gravity
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One node of the order."""

    node: str
    role: str
    batch: int  # 1 is the first; the later ones as if all nodes took the same time
    version: str  # where the node says one
    expected: str  # `work` or `likely skipped`


@dataclass(frozen=True, slots=True)
class Ground:
    """The facts about the cluster that a forecast rests on; None where they may not be read."""

    nodes: Mapping[str, NodeView]
    versions: Mapping[str, str] = field(default_factory=dict)
    pods: tuple[PodView, ...] | None = ()
    budgets: tuple[Budget, ...] | None = ()
    operator_pod: str = ""  # namespace/name
    operator_node: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Forecast:
    """The order, and what is to be said about it."""

    operation: Operation
    node_op: NodeOp
    turns: tuple[Turn, ...]
    remarks: tuple[Remark, ...]

    @property
    def first(self) -> list[Turn]:
        """The nodes that start at once."""
        return [turn for turn in self.turns if turn.batch == 1]

    @property
    def stopped(self) -> bool:
        """Whether something would keep it from moving, or fail it, as things are."""
        return any(remark.gravity is Gravity.STOPS for remark in self.remarks)


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain would do with the pods of the nodes, were they all drained now."""

    evicted: tuple[PodView, ...]
    busy: tuple[PodView, ...]
    left: tuple[Leave, ...]
    blocked: tuple[Blocked, ...]


def turns(operation: Operation, ground: Ground) -> tuple[NodeOp, tuple[Turn, ...]]:
    """The order of the nodes that are still to come; of an operation that has started, those not yet started."""
    node_op = as_node_op(operation)
    records = dict(operation.status.nodes)
    if not records:
        selector = node_op.spec.node_selector
        chosen = (
            node.name for node in ground.nodes.values() if selector is None or selector.matches(node.labels)
        )
        records = {name: NodeStatus() for name in chosen}
    order = in_order((name for name, one in records.items() if one.step is Step.WAITING), ground.nodes)
    skipped = {name for name in order if _likely_skipped(operation, ground.versions.get(name, ""))}
    found, batch, left = [], 1, _slots(node_op, ground, records)
    for name in order:
        if left <= 0:
            batch, left = batch + 1, node_op.spec.concurrency or len(order)
        left -= name not in skipped  # a skipped node gives its slot to the next at once
        node = ground.nodes.get(name)
        role = "control plane" if node is not None and node.control_plane else "worker"
        expected = "likely skipped" if name in skipped else "work"
        found.append(Turn(name, role, batch, ground.versions.get(name, ""), expected))
    return node_op, tuple(found)


def _slots(node_op: NodeOp, ground: Ground, records: Mapping[str, NodeStatus]) -> int:
    """How many nodes the rollout would start now, or once it is no longer paused."""
    if node_op.meta.paused:
        return node_op.spec.concurrency or len(records)
    return len(next_in_line(node_op, ground.nodes, records))


def _likely_skipped(operation: Operation, version: str) -> bool:
    """Whether the preflight will find the image's version on the node, as far as the image's tag tells."""
    spec = operation.spec
    if not isinstance(spec, NodeOpUpgradeSpec) or spec.force or spec.upgrade_recovery or not version:
        return False
    try:
        tag = parse_image(spec.image).tag
    except NotAnImage:
        return False
    return tag == version or tag.endswith(f"-{version}")


def shown_version(labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    """The node's version triple as an image's tag writes it, from what the node labeler says; or nothing."""
    version = annotations.get("kairos.io/version", "")
    software = labels.get("kairos.io/software-version", "")
    if not version or not software:
        return ""
    prefix = labels.get("kairos.io/software-version-prefix", "")
    return f"{version}-{prefix}{software}".replace("+", "-")


def drained(node_op: NodeOp, ground: Ground, names: Iterable[str], now: datetime) -> Drained:
    """What a drain of each of the nodes would do now."""
    options = node_op.spec.drain_options or DrainOptions()
    listed = frozenset(ground.nodes)
    snapshot = Snapshot(node_op, now, Images(), ground.nodes, listed=listed, operator_pod=ground.operator_pod)
    verdicts = [
        classify(Site(snapshot, name, NodeStatus()), pod, options)
        for name, pods in _by_node(ground.pods or (), names).items()
        for pod in pods
    ]
    return Drained(
        tuple(one.pod for one in verdicts if isinstance(one, Evict)),
        tuple(one.pod for one in verdicts if isinstance(one, Busy)),
        tuple(one for one in verdicts if isinstance(one, Leave) and one.reason),
        tuple(one for one in verdicts if isinstance(one, Blocked)),
    )


def _by_node(pods: Sequence[PodView], names: Iterable[str]) -> dict[str, list[PodView]]:
    found: dict[str, list[PodView]] = {name: [] for name in names}
    for pod in pods:
        if pod.node in found:
            found[pod.node].append(pod)
    return found


def data(found: Forecast) -> dict[str, Any]:
    """The forecast for `-o json` and `-o yaml`."""
    return {
        "operation": found.operation.title,
        "namespace": found.operation.meta.namespace,
        "concurrency": found.node_op.spec.concurrency,
        "nodes": [
            {
                "name": one.node,
                "role": one.role,
                "batch": one.batch,
                "version": one.version,
                "expected": one.expected,
            }
            for one in found.turns
        ],
        "remarks": list(_remarks(found)),
    }


def _remarks(found: Forecast) -> Iterator[dict[str, str]]:
    for remark in found.remarks:
        told = {"gravity": str(remark.gravity), "text": remark.text, "remedy": remark.remedy}
        yield {name: value for name, value in told.items() if value}
