"""Chains of actions that go on while their operation is looked at again, so that one slow call holds up one node only.

Rules:
- looks leave out a node whose chains are under way or wait for their turn: nothing is read for it, nothing decided;
- a delete holds up nothing, since nothing is made anew by the name of what it means; but what is under way is not
  begun twice;
- so many chains of one operation are under way at once, the others wait in their order: status writes and other
  operations are not to stand in line behind them; what has waited for long is not begun, but asked for anew by a look
  at what has become of it all;
- where a look left out a node, another follows as soon as the chains of that node are through.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Awaitable, Callable

from kairos_operator.core.actions import Action, Delete, DeleteChecks

Chain = tuple[Action, ...]
Do = Callable[[], Awaitable[float | None]]

AT_ONCE = 16  # chains of one operation
PATIENCE_SECONDS = 10.0  # from the plan on; as long as a view of a node counts as recent


class Chains:
    """The chains of one operation that are under way or wait; `workers` is how many tasks see to them."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Chain, Do, float]] = deque()
        self._nodes: Counter[str] = Counter()
        self._subjects: Counter[str] = Counter()
        self._ended: set[str] = (
            set()
        )  # subjects of what was under way when the last look began, and is through
        self._left_out: set[str] = set()
        self.workers = 0

    def look(self) -> frozenset[str]:
        """The nodes that a look which begins now has to leave out."""
        self._ended.clear()
        busy = frozenset(self._nodes)
        self._left_out |= busy
        return busy

    def add(self, chain: Chain, do: Do, now: float) -> bool:
        """Let `do` carry the chain out in its turn (`now` in monotonic seconds); False where something of it is under
        way already, or was when the look began that asks for it.
        """
        if any(action.subject in self._subjects or action.subject in self._ended for action in chain):
            return False
        self._subjects.update(action.subject for action in chain)
        self._nodes.update(_held(chain))
        self._waiting.append((chain, do, now))
        return True

    def next(self, now: float) -> tuple[Chain, Do | None] | None:
        """The chain whose turn it is, and how it is carried out, or None where it has waited for too long; the caller
        owes a `done` for it.
        """
        if not self._waiting:
            return None
        chain, do, since = self._waiting.popleft()
        return chain, do if now - since <= PATIENCE_SECONDS else None

    def done(self, chain: Chain) -> bool:
        """The chain is through; returns whether a look has left out a node that is free again now."""
        held = _held(chain)
        for action in chain:
            _less(self._subjects, action.subject)
            self._ended.add(action.subject)
        for node in held:
            _less(self._nodes, node)
        free = {node for node in held if node in self._left_out and node not in self._nodes}
        self._left_out -= free
        return bool(free)

    def drop(self) -> None:
        """Forget what has not begun; the plan of a later look asks for it again, if it is still wanted."""
        while self._waiting:
            self.done(self._waiting.popleft()[0])


def _held(chain: Chain) -> set[str]:
    return {action.node for action in chain if not isinstance(action, Delete | DeleteChecks)}


def _less(counts: Counter[str], name: str) -> None:
    counts[name] -= 1
    if counts[name] <= 0:
        del counts[name]
