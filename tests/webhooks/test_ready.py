"""When a replica counts as ready for reviews."""

from __future__ import annotations

from typing import Any

import pytest

from kairos_operator.api.resources import Resource
from tests.webhooks.memory import ApiServer, Object, Refused, Time, replica, trusts
from webhooks.certificates import Certificates


@pytest.fixture
def time() -> Time:
    return Time()


class Watching(ApiServer):
    """Notes whether a replica counts as ready at each write; may refuse to be told of a CA."""

    def __init__(self, refuses: int = 0) -> None:
        super().__init__()
        self.replica: Certificates | None = None
        self.ready: list[bool] = []
        self._refuses = refuses

    async def patch(
        self, res: Resource, name: str, body: Any, namespace: str | None = None, **how: Any
    ) -> Object:
        assert self.replica is not None
        self.ready.append(self.replica.ready.is_set())
        if self._refuses:
            raise Refused(self._refuses)
        return await super().patch(res, name, body, namespace, **how)


async def test_a_replica_is_ready_once_the_api_server_knows_its_ca(time: Time) -> None:
    """Whoever creates something as soon as the operator is ready must not meet a CA that nobody trusts."""
    api = Watching()
    api.replica = replica(api, time)
    chain = await api.replica.step()
    assert trusts(api, chain)
    assert api.ready == [False, False]
    assert api.replica.ready.is_set()


async def test_a_replica_that_may_not_tell_is_ready_all_the_same(time: Time) -> None:
    """It serves, and somebody else may look after the configurations."""
    api = Watching(refuses=403)
    api.replica = replica(api, time)
    with pytest.raises(Refused):
        await api.replica.step()
    assert api.replica.ready.is_set()
