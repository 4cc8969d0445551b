"""How fast to go: waiting times after failures, and a token bucket against floods.

`Backoff` doubles per key up to a cap, is spread by jitter and reset by success.
"""

from __future__ import annotations

import random
from collections.abc import Hashable
from dataclasses import dataclass, field


class Backoff:
    """Waiting times in seconds, counted per key.

    The n-th failure in a row waits `base * factor**(n-1)`, at most `cap`, then up to `jitter` times that
    less, so that many keys (or replicas) that failed together do not come back together.
    """

    def __init__(
        self,
        base: float = 1.0,
        cap: float = 300.0,
        *,
        factor: float = 2.0,
        jitter: float = 0.3,
        rng: random.Random | None = None,
    ) -> None:
        self._base = base
        self._cap = cap
        self._factor = factor
        self._jitter = jitter
        self._rng = rng or random.Random()
        self._failures: dict[Hashable, int] = {}

    def delay(self, key: Hashable = None) -> float:
        """Count one more failure of the key, and say how long to wait for it."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        # the exponent is bounded, since a float overflows after some 1,000 failures in a row
        whole = min(self._cap, self._base * self._factor ** min(count, 64))
        return whole * (1 - self._jitter * self._rng.random())

    def failures(self, key: Hashable = None) -> int:
        """How often the key failed in a row."""
        return self._failures.get(key, 0)

    def forget(self, key: Hashable = None) -> None:
        """The key succeeded (or is no more): start from the beginning next time."""
        self._failures.pop(key, None)


@dataclass(slots=True)
class TokenBucket:
    """A token bucket: `size` at once, then `per_second`."""

    size: float
    per_second: float
    tokens: float = field(init=False)
    filled_at: float = float("-inf")

    def __post_init__(self) -> None:
        self.tokens = self.size

    def take(self, now: float) -> bool:
        """Take one token, at the monotonic time `now`; False if there is none."""
        if self.filled_at != float("-inf"):
            self.tokens = min(self.size, self.tokens + (now - self.filled_at) * self.per_second)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True
