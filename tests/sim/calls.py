"""One request on its way: there, its effect at the server, and back, as its fate has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from kairos_operator.runtime.errors import ApiError, Unreachable, from_status
from tests.sandbox.store import StatusError, Store
from tests.sim.clockwork import ProcessLoop
from tests.sim.cluster import Cluster
from tests.sim.weather import Fault, Weather

TIMEOUT = 30.0
LATE = ", late"  # of an actor whose effect came after it had given up waiting for it
_REFUSALS = {
    Fault.CONFLICT: (
        409,
        "Conflict",
        "the object has been modified; please apply your changes to the latest version",
    ),
    Fault.THROTTLED: (429, "TooManyRequests", "the server has received too many requests"),
    Fault.BROKEN: (500, "InternalError", "etcdserver: leader changed"),
    Fault.UNAVAILABLE: (503, "ServiceUnavailable", "apiserver not ready"),
}
_CUTS = (Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.CUT_LATE)
_NO_EFFECT = (*_REFUSALS, Fault.CUT_BEFORE, Fault.HANG_BEFORE)


class Caller(Protocol):
    """What a request needs of the replica that makes it. `crash` ends it; until `outage` nobody is answered."""

    name: str
    loop: ProcessLoop
    cluster: Cluster
    weather: Weather
    crash: Callable[[str], None]
    outage: Callable[[], float]


class Call:
    """One request on its way: there, its effect, and back."""

    def __init__(
        self,
        client: Caller,
        verb: str,
        what: str,
        effect: Callable[[Store], Any],
        *,
        writes: bool,
        guarded: bool,
    ) -> None:
        self.client = client
        self.verb = verb
        self.what = what
        self.effect = effect
        self.cluster = client.cluster
        fate = client.weather.of_call(
            self.cluster.now, client.name, what, writes=writes, may_conflict=guarded
        )
        self.fault, self.there, self.back = fate.fault, fate.there, fate.back
        self.answer: asyncio.Future[Any] = client.loop.create_future()

    def begun(self) -> asyncio.Future[Any]:
        """Send the request; the future is its answer."""
        timeline = self.cluster.timeline
        if timeline.now < self.client.outage():
            self.fault = Fault.CUT_BEFORE
        if self.fault is not Fault.NONE:
            self.cluster.journal.detail(
                timeline.now, self.client.name, "", self.what, f"weather: {self.fault.value}"
            )
        if self.fault is Fault.CRASH_BEFORE:
            timeline.after(0.0, lambda: self.client.crash(f"before {self.what}"))
        elif self.fault is Fault.CUT_LATE:
            timeline.after(min(self.there, 0.05), lambda: self._deliver(None, self._lost()))
            timeline.after(self.there, self._arrive)
        else:
            timeline.after(self.there, self._arrive)
        return self.answer

    def _arrive(self) -> None:
        result, error = None, None
        if self.fault in _REFUSALS:
            code, reason, message = _REFUSALS[self.fault]
            error = from_status(code, {"reason": reason, "message": message})
        elif self.fault not in _NO_EFFECT:
            try:
                actor = f"{self.client.name}{LATE}" if self.fault is Fault.CUT_LATE else self.client.name
                result = self.cluster.write(actor, self.effect, self.verb)
            except StatusError as refused:
                error = from_status(refused.code, refused.status)
        self._detail(error)
        back = self.back
        if self.fault in _CUTS:
            result, error = None, self._lost()
        elif self.fault in (Fault.HANG_BEFORE, Fault.HANG_AFTER):
            result, error, back = None, self._lost(), TIMEOUT - self.there
        if self.fault is Fault.CRASH_AFTER:
            self.client.crash(f"after {self.what}")
        elif self.fault is Fault.CRASH_LATER:
            self.cluster.timeline.after(back + 0.01, lambda: self.client.crash(f"a little after {self.what}"))
        self.cluster.timeline.after(back, lambda: self._deliver(result, error))

    def _detail(self, error: ApiError | None) -> None:
        journal = self.cluster.journal
        if journal.detailed and "watch" not in self.what:
            outcome = f"{type(error).__name__}: {error.message}" if error is not None else ""
            journal.detail(self.cluster.now, self.client.name, "", self.what, outcome)

    def _lost(self) -> Unreachable:
        return Unreachable(f"no answer to {self.what}")

    def _deliver(self, result: Any, error: ApiError | None) -> None:
        if self.answer.done() or self.client.loop.dead:
            return
        if error is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(result)
