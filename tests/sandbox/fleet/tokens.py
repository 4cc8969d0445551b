"""The tokens that pods get: their ServiceAccount's own, so that RBAC is tested, or the fleet's."""

from __future__ import annotations

import asyncio

from kairos_operator.api.resources import SERVICE_ACCOUNTS
from tests.sandbox.fleet.api import PAUSE, Answer, Api

LIFETIME = 3600


class Tokens:
    """Gets the token of a ServiceAccount."""

    def __init__(self, api: Api, *, mints: bool) -> None:
        self._api = api
        self._mints = mints

    async def token_for(self, namespace: str, account: str) -> str:
        """A token for pods of that account, waited for as kubelets do. Raises Answer where there is no account."""
        if not self._mints:
            return self._api.access.token
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": LIFETIME},
        }
        while True:
            try:
                made = await self._api.call("POST", SERVICE_ACCOUNTS.path(namespace, account, "token"), body)
                return str(made["status"]["token"])
            except Answer as refused:
                if not refused.passing:
                    raise
            await asyncio.sleep(PAUSE)
