"""What there is to say about a forecast: what would stop it now, what is risky, what is good to know. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from kairos_operator.api.names import Claim
from kairos_operator.api.objects import NodeOp
from kairos_operator.cli.budgets import standoffs
from kairos_operator.cli.forecast import Drained, Forecast, Gravity, Ground, Remark, Turn, drained, turns
from kairos_operator.cli.operations import Operation
from kairos_operator.core.site import seconds

_NAMED = 5
_GRAVEST_FIRST = tuple(Gravity)
_NO_CONTROLLER = "no controller"


def forecast(operation: Operation, ground: Ground, now: datetime) -> Forecast:
    """What the operation would do, and all that is to be said about it, the gravest first."""
    node_op, order = turns(operation, ground)
    working = [turn for turn in order if turn.expected == "work"]
    found = [
        *(Remark(Gravity.RISK, text) for text in ground.warnings),
        *_selection(operation, order, working),
        *_nodes(node_op, ground, working),
        *_together(node_op, ground, working),
        *_operator(node_op, ground, working),
    ]
    if node_op.spec.drains:
        found += _drains(node_op, ground, working, now)
    found.sort(key=lambda remark: _GRAVEST_FIRST.index(remark.gravity))
    return Forecast(operation, node_op, order, tuple(found))


def _selection(operation: Operation, order: Sequence[Turn], working: Sequence[Turn]) -> Iterator[Remark]:
    if operation.meta.paused:
        yield Remark(Gravity.STOPS, "it is paused, so no node is started")
    if operation.blocked_drain:
        text = f"a drain under way is blocked, and the rest waits for it: {operation.blocked_drain}"
        yield Remark(Gravity.STOPS, text, f"see `kubectl kairos why {operation.meta.name}`")
    if not order and not operation.status.nodes:
        yield Remark(
            Gravity.STOPS,
            "no node matches the nodeSelector; it would complete without doing anything",
            "compare spec.nodeSelector with `kubectl get nodes --show-labels`",
        )
    likely = [turn.node for turn in order if turn.expected != "work"]
    if likely:
        text = f"{len(likely)} of {len(order)} nodes seem to have the image's version, and would be skipped"
        yield Remark(Gravity.NOTE, f"{text}: {some(likely)}")
    elif order and not any(turn.version for turn in order) and working:
        yield Remark(Gravity.NOTE, "the nodes do not say their versions, so who will be skipped is not known")


def _nodes(node_op: NodeOp, ground: Ground, working: Sequence[Turn]) -> Iterator[Remark]:
    nodes = [ground.nodes[turn.node] for turn in working if turn.node in ground.nodes]
    away = [node.name for node in nodes if not node.ready]
    if away:
        limit = seconds(node_op.spec.reboot_timeout_seconds)
        text = f"not Ready now: {some(away)}; their turn would wait for them up to {limit}, and then fail"
        yield Remark(Gravity.STOPS, text, "bring them back, or leave them out with a nodeSelector")
    for node in nodes:
        holder = Claim.parse(node.claimed_by) if node.claimed_by else None
        if holder is not None and holder.uid != node_op.meta.uid and node_op.spec.disrupts:
            text = f"{node.name} is held by NodeOp {holder.operation}, and would be waited for"
            yield Remark(Gravity.STOPS, text)
    cordoned = [node.name for node in nodes if node.unschedulable and not node.cordoned_by]
    if cordoned and node_op.spec.cordon:
        yield Remark(Gravity.NOTE, f"cordoned by somebody already, and left so afterwards: {some(cordoned)}")


def _together(node_op: NodeOp, ground: Ground, working: Sequence[Turn]) -> Iterator[Remark]:
    """Single points: what the cluster loses while the first batch is away."""
    if not node_op.spec.disrupts or not (node_op.spec.reboot_on_success or node_op.spec.drains):
        return
    batches: dict[int, list[str]] = {}
    for turn in working:
        batches.setdefault(turn.batch, []).append(turn.node)
    first = max(batches.values(), key=lambda names: _control_planes(names, ground), default=[])
    everyone = _control_planes(ground.nodes, ground)
    together = _control_planes(first, ground)
    if node_op.spec.reboot_on_success and together and together == everyone:
        what = (
            "the only control-plane node" if everyone == 1 else f"all {everyone} control-plane nodes at once"
        )
        text = f"{what} would reboot: the API is away meanwhile, and the operator goes on after it"
        remedy = "" if everyone == 1 else "use concurrency 1"
        yield Remark(Gravity.NOTE if everyone == 1 else Gravity.RISK, text, remedy)
    elif node_op.spec.reboot_on_success and together > (everyone - 1) // 2:
        text = (
            f"{together} of {everyone} control-plane nodes would reboot at once: etcd would lose its quorum"
        )
        yield Remark(Gravity.RISK, text, "use concurrency 1")
    biggest = max((len(names) for names in batches.values()), default=0)
    schedulable = [node.name for node in ground.nodes.values() if node.ready and not node.unschedulable]
    if node_op.spec.drains and biggest > 1 and biggest >= len(schedulable):
        text = f"all {biggest} schedulable nodes would be drained at once: evicted pods have nowhere to go"
        yield Remark(Gravity.RISK, text, "set concurrency")
    elif node_op.spec.drains and biggest == 1 and len(schedulable) == 1:
        yield Remark(Gravity.NOTE, "there is one schedulable node: evicted pods wait until it is back")


def _control_planes(names: Iterable[str], ground: Ground) -> int:
    return sum(name in ground.nodes and ground.nodes[name].control_plane for name in names)


def _operator(node_op: NodeOp, ground: Ground, working: Sequence[Turn]) -> Iterator[Remark]:
    batch = next((turn.batch for turn in working if turn.node == ground.operator_node), None)
    if batch is None or not ground.operator_node:
        return
    if node_op.spec.reboot_on_success:
        text = f"the operator itself runs on {ground.operator_node} (batch {batch}): another replica goes on while"
        yield Remark(
            Gravity.NOTE, f"{text} that node is away; where there is none, it does so itself afterwards"
        )
    elif node_op.spec.drains:
        yield Remark(
            Gravity.NOTE, f"the operator itself runs on {ground.operator_node}; its pod is left alone"
        )


def _drains(node_op: NodeOp, ground: Ground, working: Sequence[Turn], now: datetime) -> Iterator[Remark]:
    if ground.pods is None:
        text = "you may not list the pods of all namespaces, so what the drains would meet is not known"
        yield Remark(Gravity.NOTE, text)
        return
    found = drained(node_op, ground, [turn.node for turn in working], now)
    for verdict in found.blocked:
        yield Remark(
            Gravity.STOPS, f"{verdict.pod.path} on {verdict.pod.node} stops the drain: {verdict.reason}"
        )
    if ground.budgets is None:
        yield Remark(
            Gravity.NOTE, "you may not list PodDisruptionBudgets, so whether one forbids is not known"
        )
    for standoff in standoffs(found.evicted, ground.budgets or ()):
        remedy = "let the budget allow it: more replicas, all of them ready"
        if len(standoff.budgets) > 1:
            remedy = "leave one budget over these pods"
        yield Remark(Gravity.STOPS, standoff.sentence, remedy)
    yield from _left_alone(node_op, found)
    if found.busy:
        text = f"other operations are at work, and the drains wait for them: {some([pod.path for pod in found.busy])}"
        yield Remark(Gravity.NOTE, text)
    if found.evicted:
        pods = "pod" if len(found.evicted) == 1 else "pods"
        yield Remark(Gravity.NOTE, f"{len(found.evicted)} {pods} would be evicted, as things are now")


def _left_alone(node_op: NodeOp, found: Drained) -> Iterator[Remark]:
    lone = [verdict.pod.path for verdict in found.left if verdict.reason.startswith(_NO_CONTROLLER)]
    ends = "they end with the reboot and do not come back" if node_op.spec.reboot_on_success else "they stay"
    if lone:
        yield Remark(Gravity.RISK, f"no controller would make these pods anew, so no drain evicts them, and {ends}:"
                     f" {some(lone)}")  # fmt: skip
    kept = [verdict.pod.path for verdict in found.left if "emptyDir" in verdict.reason]
    if kept:
        yield Remark(Gravity.NOTE, f"left alone for their emptyDir data: {some(kept)}")


def some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
