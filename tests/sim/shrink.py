"""Makes a failing scenario smaller: takes weather, incidents, operations and nodes away while it still fails alike.

What is taken away has a name (a fault, an incident's number, a kind of incident, `nodes=3`, ...), so that the replay of
what is left is one line: the seed, and what to leave out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from tests.sim.scenario import Scenario
from tests.sim.weather import Fault, Rates, WatchFault

Fails = Callable[[Scenario], str]


def without(scenario: Scenario, names: Iterable[str]) -> Scenario:
    """The scenario without what the names say; names of faults and incidents are muted where they happen."""
    muted = set(scenario.muted)
    for name in names:
        key, _, value = name.partition("=")
        if key == "nodes":
            scenario = replace(scenario, nodes=scenario.nodes[: int(value)])
        elif key == "operations":
            scenario = replace(scenario, operations=scenario.operations[: int(value)])
        elif key == "replicas":
            scenario = replace(scenario, replicas=int(value))
        elif key == "calm":
            scenario = replace(scenario, calm_from=float(value))
        elif key == "apps":
            scenario = replace(scenario, apps=())
        elif key == "events":
            scenario = replace(scenario, events=False)
        elif key == "cordons":
            scenario = replace(
                scenario, nodes=tuple(replace(node, cordoned=False) for node in scenario.nodes)
            )
        elif key == "weather":
            scenario = replace(scenario, rates=Rates())
        else:
            muted.add(name)
    return replace(scenario, muted=frozenset(muted))


def shrunk(scenario: Scenario, fails: Fails, tries: int = 150) -> list[str]:
    """What can be left out of a failing scenario so that it fails in the same way; at most so many runs."""
    wanted, left_out = _kind(fails(scenario)), list[str]()
    for name in _candidates(scenario):
        if tries <= 0:
            break
        key = name.partition("=")[0]
        kept = [one for one in left_out if one.partition("=")[0] != key or "=" not in one]
        smaller = without(scenario, [*kept, name])
        if smaller == without(scenario, left_out):
            continue
        tries -= 1
        if _kind(fails(smaller)) == wanted:
            left_out = [*kept, name]
    return left_out


def _candidates(scenario: Scenario) -> Iterator[str]:
    yield from ("weather", "incidents", "apps", "events", "replicas=1", "cordons")
    yield from ("crash", "call", "lag")
    yield from (f"operations={count}" for count in range(len(scenario.operations) - 1, 0, -1))
    yield from (f"nodes={count}" for count in range(len(scenario.nodes) - 1, 0, -1))
    yield from (f"i{index}" for index in range(len(scenario.incidents)))
    yield from (fault.value for fault in WatchFault)
    yield from (fault.value for fault in Fault if fault is not Fault.NONE)
    seconds = scenario.calm_from
    while seconds > 10:
        seconds = round(seconds / 2, 1)
        yield f"calm={seconds}"


def _kind(broken: str) -> str:
    """A failure without its numbers and names, to tell whether two are alike."""
    return re.sub(r"\b(n|op|new)?\d+\b|-[a-z0-9]{5}\b", "#", broken)[:60]
