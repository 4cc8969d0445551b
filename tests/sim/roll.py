"""Which nodes an operation is for: the roll of all nodes and their labels, as they were at each moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from tests.sim.cluster import Change, Object
from tests.sim.ledger import Operation
from tests.sim.truth import Broken

Labels = Mapping[str, str]
LIVE_ANSWER = (
    50.0  # seconds that a live list may be old when what follows from it is stored, with slow calls between
)


class Roll:
    """Keeps every node's labels with the time from which they were so; None while there is no such node."""

    def __init__(self) -> None:
        self._past: dict[str, list[tuple[float, Labels | None]]] = defaultdict(list)

    def heard(self, change: Change, now: float) -> None:
        """A Node was written or deleted."""
        labels = None if change.new is None else _labels(change.new)
        past = self._past[change.name]
        if not past or past[-1][1] != labels:
            past.append((now, labels))

    def check(self, operation: Operation, targets: Mapping[str, Object], now: float) -> None:
        """The targets are resolved: who was surely selected is in, and nobody who surely was not; raises Broken."""
        wanted = (operation.spec.get("nodeSelector") or {}).get("matchLabels") or {}
        for name in self._past:
            verdicts = {_selected(labels, wanted) for labels in self._lately(name, now)}
            if verdicts == {True} and name not in targets:
                raise Broken(f"{name} is selected by {operation.name}, and is no target of it")
            if verdicts == {False} and name in targets:
                raise Broken(f"{name} is a target of {operation.name}, which does not select it")

    def _lately(self, name: str, now: float) -> Iterator[Labels | None]:
        """What a node's labels were within the time that an answer may be old."""
        yield self._past[name][-1][1]
        for (_, labels), (until, _) in zip(self._past[name], self._past[name][1:], strict=False):
            if until >= now - LIVE_ANSWER:
                yield labels
        if self._past[name][0][0] >= now - LIVE_ANSWER:
            yield None


def _labels(node: Object) -> Labels:
    return dict(node["metadata"].get("labels") or {})


def _selected(labels: Labels | None, wanted: Labels) -> bool:
    return labels is not None and all(labels.get(key) == value for key, value in wanted.items())
