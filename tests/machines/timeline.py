"""What an upgrade was waiting for at each moment, from a recording: for the operator, or for the world.

The operator is waited for where all that it needs can be seen from outside and its next deed cannot: from the `kubectl
create` to the first check, from a check's success to the cordon, from the end of the last evicted pod to the Job, from
the return of the node to the check after it, from that one's success to the uncordoning, and from there to the first
check on the next node. All else (images, pods that end, the command, the reboot, the kubelet) is the world's.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

from tests.machines.recording import Line

NEVER = float("inf")


class Gap(NamedTuple):
    """The operator was waited for: before which deed, from when to when."""

    before: str
    since: float
    until: float

    @property
    def seconds(self) -> float:
        """How long; not less than nothing, since lines of different watches may come in the wrong order."""
        return max(0.0, self.until - self.since)


@dataclass(frozen=True, slots=True)
class Turn:
    """One node's way through the upgrade, in seconds since the recording began."""

    node: str
    check: float
    checked: float
    cordoned: float
    drained: float
    job: float
    complete: float
    down: float
    back: float
    verify: float
    verified: float
    uncordoned: float

    def gaps(self) -> tuple[Gap, ...]:
        """The waits for the operator on the node itself."""
        return (
            Gap("cordon", self.checked, self.cordoned),
            Gap("Job", self.drained, self.job),
            Gap("verification", self.back, self.verify),
            Gap("uncordoning", self.verified, self.uncordoned),
        )


@dataclass(frozen=True, slots=True)
class Timeline:
    """A whole upgrade: when it was asked for, each node's turn in the order of their beginnings, and its end."""

    created: float
    turns: tuple[Turn, ...]
    completed: float

    @property
    def makespan(self) -> float:
        """From the `kubectl create` to the last node's being in use again."""
        return max(turn.uncordoned for turn in self.turns) - self.created

    def critical(self) -> tuple[Turn, ...]:
        """The turns that the makespan consists of: the last one to end, the one whose slot it got, and so on."""
        turn = max(self.turns, key=lambda one: one.uncordoned)
        chain = [turn]
        while before := [one for one in self.turns if one.uncordoned <= turn.check]:
            turn = max(before, key=lambda one: one.uncordoned)
            chain.insert(0, turn)
        return tuple(chain)

    def gaps(self) -> tuple[Gap, ...]:
        """The waits for the operator of which the makespan consists."""
        found, free = list[Gap](), self.created
        for turn in self.critical():
            found += [Gap("check", free, turn.check), *turn.gaps()]
            free = turn.uncordoned
        return tuple(found)

    @property
    def latency(self) -> float:
        """The seconds of the makespan in which the operator was waited for."""
        return sum(gap.seconds for gap in self.gaps())


def timeline(lines: Sequence[Line], name: str, nodes: Sequence[str]) -> Timeline:
    """The timeline of the upgrade `name`, all of whose nodes were upgraded. Raises LookupError where one was not."""
    created = first(one.at for one in lines if one.what == "create" and one.detail == name)
    after = [one for one in lines if one.at >= created]
    completed = first(
        one.at for one in after if (one.who, one.what, one.detail) == (name, "phase", "Completed")
    )
    turns = (_turn([one for one in after if one.at <= completed], name, node) for node in nodes)
    return Timeline(created, tuple(sorted(turns, key=lambda turn: turn.check)), completed)


def first(moments: Iterable[float]) -> float:
    """The first moment at which something was seen. Raises LookupError where it never was."""
    for moment in moments:
        return moment
    raise LookupError("never seen")


def _turn(lines: Sequence[Line], name: str, node: str) -> Turn:
    stem = f"{name}-{node}-"

    def pods(role: str, *phases: str) -> Iterator[float]:
        names = (one for one in lines if one.what == "pod" and one.who.startswith(f"{stem}{role}-"))
        return (one.at for one in names if one.detail.split(" ")[0].rstrip(",") in phases)

    def seen(who: str, what: str, detail: str = "") -> Iterator[float]:
        return (
            one.at
            for one in lines
            if one.who.startswith(who) and one.what == what and detail in ("", one.detail)
        )

    cordoned = first(seen(node, "cordoned", "true"))
    job = first(seen(stem, "job", "running"))
    verify = first(pods("postflight", "Pending", "Running"))
    down = first(seen(node, "down"))
    # A boot shows as a new boot id; the node is back once it also says that it is Ready.
    boot = max(at for at in seen(node, "bootID") if at <= verify)
    ready = max((at for at in seen(node, "ready", "true") if down < at <= verify), default=boot)
    return Turn(
        node,
        check=first(pods("preflight", "Pending", "Running")),
        checked=first(pods("preflight", "Succeeded")),
        cordoned=cordoned,
        drained=_drained(lines, name, node, (cordoned, job)),
        job=job,
        complete=first(seen(stem, "job", "Complete")),
        down=down,
        back=max(boot, ready),
        verify=verify,
        verified=first(pods("postflight", "Succeeded")),
        uncordoned=first(at for at in seen(node, "cordoned", "false") if at > verify),
    )


def _drained(lines: Sequence[Line], name: str, node: str, between: tuple[float, float]) -> float:
    """When the last pod of others had ended on the node, which is a little before it is gone."""
    since, until = between
    ended = dict[str, float]()
    for one in lines:
        others = one.what == "pod" and one.detail.endswith(f" {node}") and not one.who.startswith(f"{name}-")
        over = one.detail.split(" ")[0].rstrip(",") in ("Succeeded", "Failed", "gone")
        if others and over and since < one.at <= until:
            ended.setdefault(one.who, one.at)
    return max(ended.values(), default=since)


def table(found: Timeline) -> list[str]:
    """The timeline as text: each node's moments, and what the operator's part of it was."""
    moments = [one.name for one in fields(Turn)[1:]]
    rows = [f"{'seconds since the create':<24}" + "".join(f"{name:>11}" for name in moments)]
    for turn in found.turns:
        ats = (getattr(turn, name) - found.created for name in moments)
        rows.append(f"{turn.node:<24}" + "".join(f"{at:>11.1f}" for at in ats))
    share = found.latency / found.makespan
    way = ", ".join(turn.node for turn in found.critical())
    rows += [
        "",
        f"makespan {found.makespan:.1f} s; the operator was waited for {found.latency:.1f} s of it ({share:.1%}),",
        f"on the way that determines it: {way}",
        "",
        f"{'waited for the operator before':<32}{'median':>8}{'longest':>9}   over all nodes",
    ]
    for before in ("cordon", "Job", "verification", "uncordoning"):
        times = [gap.seconds for turn in found.turns for gap in turn.gaps() if gap.before == before]
        rows.append(f"{before:<32}{statistics.median(times):>6.2f} s{max(times):>7.2f} s")
    checks = [gap.seconds for gap in found.gaps() if gap.before == "check"]
    rows.append(f"{'check (of the way only)':<32}{statistics.median(checks):>6.2f} s{max(checks):>7.2f} s")
    return rows
