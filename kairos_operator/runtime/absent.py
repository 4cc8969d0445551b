"""Which children of an operation are not there, so that they need not be looked for again.

Where more nodes wait for their turn to have a child made than can be served within seconds, each look would read all of
these children live, thousands of them. But nobody makes a child before it is stored that its step is entered, and then
only the leader does. So what this process has just stored tells as well as an answer that there is none, until a call
is begun that may make it: from then on the child may be there by a call without an answer, and every look reads it
until it is seen.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

from kairos_operator.core.snapshot import ChildKey


@dataclass(slots=True)
class Absent:
    """Children that are not there; `in` tells whether nothing was begun since to make one."""

    _unmade: dict[str, set[ChildKey]] = field(default_factory=dict)
    _begun: dict[str, set[ChildKey]] = field(default_factory=dict)

    def __contains__(self, key: ChildKey) -> bool:
        return key in self._unmade.get(key.node, ())

    def found_none(self, key: ChildKey) -> None:
        """A live read found no such child, or its step was entered with what was just stored."""
        if key not in self._begun.get(key.node, ()):
            self._unmade.setdefault(key.node, set()).add(key)

    def begin(self, node: str) -> None:
        """A call is begun that may make what is absent on a node."""
        if node in self._unmade:
            self._begun.setdefault(node, set()).update(self._unmade.pop(node))

    def keep(self, nodes: Set[str]) -> None:
        """Forget all but these nodes."""
        for kept in (self._unmade, self._begun):
            for node in kept.keys() - nodes:
                del kept[node]

    def clear(self) -> None:
        """Nothing counts as absent any more: somebody else may have made children."""
        self._unmade.clear()
