"""Whether a status is true, and goes forward: judged by what the world knows happened to each node."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from kairos_operator.api.names import ANNOTATION_PAUSED, CONTROL_PLANE_LABELS
from kairos_operator.api.resources import NODES
from tests.sim.cluster import Change, Object
from tests.sim.ledger import FINAL, Ledger, Operation
from tests.sim.reasons import untrue
from tests.sim.truth import Broken, owner_uid

LEEWAY = 8.0  # a step begins in the operator's mind before it is stored, and times are whole seconds
ORDER = ("Waiting", "Preflight", "Claim", "Drain", "Job", "Reboot", "Postflight", "Release", "Done")
AWAY = 180.0  # seconds after which a preflight gives a node up that is not Ready
_PHASES = {"Waiting": ("Pending",), "Preflight": ("Preflight",), "Done": ("Completed", "Failed")}
_TIMED = (
    (re.compile("Drain failed: not done after"), "Drain", ("drainOptions", "timeoutSeconds"), 300),
    (
        re.compile("Preflight failed: no verdict after"),
        "Preflight",
        ("preflight", "activeDeadlineSeconds"),
        120,
    ),
    (
        re.compile("Postflight failed: no verdict after"),
        "Postflight",
        ("postflight", "activeDeadlineSeconds"),
        120,
    ),
    (re.compile("Reboot failed: not back after"), "Reboot", ("rebootTimeoutSeconds",), 1800),
)


def check_node_op(before: Object, after: Object, operation: Operation, ledger: Ledger) -> None:
    """The step from one stored NodeOp to the next; raises Broken."""
    old, new = before.get("status") or {}, after.get("status") or {}
    if old == new:
        return
    name = operation.name
    _check_news(name, old, new)
    if old.get("phase") in FINAL and old != new:
        raise Broken(f"the status of {name} changes after it was final")
    nodes, were = new.get("nodeStatuses") or {}, old.get("nodeStatuses") or {}
    if old.get("phase") not in (None, "Pending") and nodes.keys() != were.keys():
        raise Broken(f"the targets of {name} change after the start: {sorted(nodes.keys() ^ were.keys())}")
    if old.get("phase") not in (None, "Pending") and before["spec"] != after["spec"]:
        raise Broken(f"the spec of {name} changes after the start")
    for node, record in nodes.items():
        was = were.get(node)
        if was is not record:
            _check_record(operation, node, was or {}, record, ledger)
    _check_starts(operation, before, nodes, ledger)
    _check_whole(operation, new, nodes)


def _check_news(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """A status that is written says something that the stored one did not say."""
    if {**old, "lastUpdated": ""} == {**new, "lastUpdated": ""}:
        raise Broken(f"the status of {name} is written, and says nothing new but the time")


def _check_starts(operation: Operation, before: Object, nodes: Mapping[str, Any], ledger: Ledger) -> None:
    """Who is started, and when: not while paused, not after a failure that stops, control planes first."""
    were = (before.get("status") or {}).get("nodeStatuses") or {}
    started = [
        name
        for name, record in nodes.items()
        if record.get("step", "Waiting") not in ("Waiting", "Done")
        and were.get(name, {}).get("step", "Waiting") == "Waiting"
    ]
    if not started:
        return
    if (before["metadata"].get("annotations") or {}).get(ANNOTATION_PAUSED) == "true":
        raise Broken(f"{operation.name} starts {started[0]} while it is paused")
    if ledger.sights.held_long_ago(operation.obj):
        raise Broken(f"{operation.name} starts {started[0]}, and its upgrade has long been paused")
    if operation.spec.get("stopOnFailure") and any(were[name].get("outcome") == "Failed" for name in were):
        raise Broken(f"{operation.name} starts {started[0]} after a failure that stops it")
    waiting = [name for name, record in nodes.items() if record.get("step", "Waiting") == "Waiting"]
    if any(_control_plane(ledger, name) and ledger.stands(name) for name in waiting) and not all(
        _control_plane(ledger, n) for n in started
    ):
        raise Broken(f"{operation.name} starts {started} before the control plane")


def _control_plane(ledger: Ledger, name: str) -> bool:
    node = ledger.cluster.find(NODES, name)
    return node is not None and any(
        label in (node["metadata"].get("labels") or {}) for label in CONTROL_PLANE_LABELS
    )


def _check_record(
    operation: Operation, node: str, old: Mapping[str, Any], new: Mapping[str, Any], ledger: Ledger
) -> None:
    where = f"{node} of {operation.name}"
    step, was = new.get("step", "Waiting"), old.get("step", "Waiting")
    if ORDER.index(step) < ORDER.index(was):
        raise Broken(f"the step of {where} goes back from {was} to {step}")
    if was == "Done" and old != new:
        raise Broken(f"the status of {where} changes after it was done")
    if new.get("phase") not in _PHASES.get(step, ("Running",)):
        raise Broken(f"{where} is at {step}, and shown as {new.get('phase')}")
    if "outcome" in old and new.get("outcome") != old["outcome"]:
        raise Broken(f"the verdict about {where} changes")
    for fixed in ("jobUID", "nodeUID", "bootID", "startedAt"):
        let_go = step == "Done" and fixed not in new  # a node that is done needs it no more
        # The boot before the work is seen anew until there is a Job.
        let_go = let_go or (fixed == "bootID" and step == "Job" and "jobUID" not in old)
        if fixed in old and new.get(fixed) != old[fixed] and not let_go:
            raise Broken(f"{fixed} of {where} changes")
    if "outcome" in new and "outcome" not in old:
        _check_verdict(operation, node, new, ledger)


def _check_verdict(operation: Operation, node: str, record: Mapping[str, Any], ledger: Ledger) -> None:
    truth, place = ledger.truth, (operation.uid, node)
    where = f"{node} of {operation.name}"
    outcome, message = record["outcome"], record.get("message", "")
    if outcome == "Completed":
        if ledger.stands(node) and record.get("nodeUID") not in (None, ledger.stands(node)):
            raise Broken(f"{where} is completed, and is another node than the one that was started")
        if place not in truth.succeeded:
            raise Broken(f"{where} is completed, and its command has not succeeded")
        if operation.reboots and (place not in truth.came_back or record.get("rebootStatus") != "completed"):
            raise Broken(f"{where} is completed, and has not rebooted")
        if operation.reboots and truth.rebooting.get(node) == operation.uid:
            raise Broken(f"{where} is completed, and not back from its reboot")
        if "postflight" in operation.spec and (*place, "postflight") not in truth.checks:
            raise Broken(f"{where} is completed, and its postflight has not passed")
    elif outcome == "Skipped":
        gone = ledger.cluster.find(NODES, node) is None
        if (
            (*place, "preflight-skipped") not in truth.checks
            and not gone
            and "no longer exists" not in message
        ):
            raise Broken(f"{where} is skipped without a reason")
        if place in truth.succeeded:
            raise Broken(f"{where} is skipped, and its command ran")
    elif outcome == "Failed":
        _check_failure(operation, node, message, record.get("nodeUID"), ledger)


def _check_failure(operation: Operation, node: str, message: str, uid: str | None, ledger: Ledger) -> None:
    where = f"{node} of {operation.name}"
    if not message:
        raise Broken(f"{where} failed without a message")
    found = ledger.cluster.find(NODES, node)
    if "node was deleted" in message and found is not None and found["metadata"]["uid"] == uid:
        raise Broken(f"{where} failed because of a deletion that never was")
    excuses = [*ledger.truth.excuses.get(node, ()), *ledger.truth.excuses.get("*", ())]
    _check_patience(operation, node, message, ledger)
    if untrue(message, excuses):
        raise Broken(
            f"{where} failed by what never happened: {message} ({', '.join(excuses) or 'nothing did'})"
        )
    for pattern, step, path, default in _TIMED:
        if pattern.match(message):
            limit: Any = operation.spec
            for key in path:
                limit = (limit or {}).get(key)
            limit = float(limit or default) + (60 if "flight" in step else 0)
            if step == "Preflight" and any(why.startswith(("down", "cut off")) for why in excuses):
                limit = min(limit, AWAY)
            took = ledger.cluster.now - operation.step_began.get(f"{node} {step}", 0.0)
            if took < limit - LEEWAY and "the clock jumped" not in excuses:
                raise Broken(f"{where} failed after {took:.0f} s of {limit:.0f}: {message}")
            return
    if not excuses:
        raise Broken(f"{where} failed though nothing was wrong: {message}")


def _check_patience(operation: Operation, node: str, message: str, ledger: Ledger) -> None:
    """Nobody is given up for what was not seen where it had long been there to be seen."""
    where = f"{node} of {operation.name}"
    for role in ("preflight", "postflight"):
        unseen = message.startswith(f"{role.capitalize()} failed: no verdict after")
        if unseen and ledger.sights.passed_long_ago(operation.uid, node, role):
            raise Broken(f"{where} failed, and its {role} had long passed: {message}")
    if "The node has not been Ready for" in message and ledger.ready_long_ago(node):
        raise Broken(f"{where} failed, and its node had long been Ready: {message}")
    # Where the reboot pod was deleted, nothing says that it was this operation's doing.
    unseen = (
        message.startswith("Reboot failed: not back after") and "the reboot pod says completed" in message
    )
    if unseen and ledger.back_long_ago(operation, node):
        raise Broken(f"{where} failed, and had long been back: {message}")


def _check_whole(operation: Operation, status: Mapping[str, Any], nodes: Mapping[str, Any]) -> None:
    name, phase = operation.name, status.get("phase")
    steps = Counter(record.get("step", "Waiting") for record in nodes.values())
    outcomes = Counter(record.get("outcome") for record in nodes.values() if record.get("step") == "Done")
    flying = len(nodes) - steps["Waiting"] - steps["Done"]
    limit = operation.spec.get("concurrency") or 0
    if limit and flying > limit:
        raise Broken(f"the status of {name} has {flying} nodes in flight instead of {limit}")
    said = status.get("summary") or {}
    counts = {
        "total": len(nodes),
        "pending": steps["Waiting"],
        "running": flying,
        "completed": outcomes["Completed"],
        "skipped": outcomes["Skipped"],
        "failed": outcomes["Failed"],
    }
    if {key: said.get(key, 0) for key in counts} != counts:
        raise Broken(f"the summary of {name} says {said}, and it is {counts}")
    if phase == "Completed" and outcomes["Completed"] + outcomes["Skipped"] != len(nodes):
        raise Broken(f"{name} is completed, and not all of its nodes are: {dict(outcomes)}")
    if phase == "Failed":
        if flying or not outcomes["Failed"]:
            raise Broken(f"{name} is failed with {flying} in flight and {outcomes['Failed']} failed nodes")
        if steps["Waiting"] and not operation.spec.get("stopOnFailure"):
            raise Broken(f"{name} is failed, and {steps['Waiting']} nodes were never started")
    if phase in FINAL and not status.get("completedAt"):
        raise Broken(f"{name} is over, and does not say since when")


def check_upgrade(change: Change, ledger: Ledger) -> None:
    """The step from one stored NodeOpUpgrade to the next; raises Broken."""
    if change.old is None or change.new is None:
        return
    old, new = change.old.get("status") or {}, change.new.get("status") or {}
    name = change.name
    if old != new:
        _check_news(name, old, new)
    if old.get("phase") in FINAL and old != new:
        raise Broken(f"the status of upgrade {name} changes after it was final")
    carrier = ledger.operations.get(new.get("nodeOpUID", ""))
    if carrier is not None and owner_uid(carrier.obj) != change.new["metadata"]["uid"]:
        raise Broken(f"upgrade {name} adopts a NodeOp that is not its own")
    if "nodeOpUID" in old and new.get("nodeOpUID") != old["nodeOpUID"]:
        raise Broken(f"upgrade {name} changes over to another NodeOp")
    were = old.get("nodeStatuses") or {}
    for node, record in (new.get("nodeStatuses") or {}).items():
        step, was = record.get("step", "Waiting"), (were.get(node) or {}).get("step", "Waiting")
        if ORDER.index(step) < ORDER.index(was):
            raise Broken(f"upgrade {name} says that {node} goes back from {was} to {step}")
