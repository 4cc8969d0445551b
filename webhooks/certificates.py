"""The webhook server's certificate: made, shared, told to the API server, renewed and repaired, all by itself.

Every replica takes the same steps, again and again, and none of them needs to be the leader: read the Secret (or
create it: who comes second reads what the first has written), serve what it says, tell the API server which CAs
to trust, and go on to the next stage when it is time. Writes carry the resourceVersion that was read, so of two
replicas that go on at once one does, and the other reads again.

A Secret that cannot be read is written anew from what this replica serves, or else with a new certificate. Of the
webhook configurations only the `caBundle` of our own webhooks is ever touched.

What is valid is judged by the API server's clock, which is the one that the certificate meets: this machine's may be
wrong, as that of a board without a battery is after each boot, and right again a moment later.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from kairos_operator.api.resources import MUTATING_WEBHOOKS, SECRETS, VALIDATING_WEBHOOKS, Resource
from webhooks.configurations import bundle_patch
from webhooks.keychain import Keychain, Timing, advanced, fresh, from_secret, minted, to_secret
from webhooks.keys import BadPair, load_into

log = logging.getLogger("webhooks.certificates")

NOT_FOUND, CONFLICT, UNPROCESSABLE = 404, 409, 422
INTERVAL, RETRY_INTERVAL = 10.0, 2.0
"""Seconds between steps: how long a caBundle that somebody changed stays wrong."""
PATIENCE = timedelta(minutes=10)
"""From a new pair of this replica to its next one, so that clocks that do not agree write seldom."""
Object = dict[str, Any]


class Client(Protocol):
    """What certificates need of a Kubernetes client; its errors have the HTTP status as `status`."""

    @property
    def server_time(self) -> datetime | None:
        """The API server's clock at its last answer; None where it did not say."""

    async def get(self, res: Resource, name: str, namespace: str | None = None) -> Object: ...

    async def create(self, res: Resource, body: Object, namespace: str | None = None) -> Object: ...

    async def patch(
        self,
        res: Resource,
        name: str,
        body: Any,
        namespace: str | None = None,
        *,
        kind: Literal["merge", "json"] = "merge",
    ) -> Object: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where the certificate is kept, and whom it is for."""

    namespace: str
    service: str = "kairos-operator-webhook-service"
    secret: str = "kairos-operator-webhook-certificate"
    mutating: Sequence[str] = ("kairos-operator-mutating-webhook-configuration",)
    validating: Sequence[str] = ("kairos-operator-validating-webhook-configuration",)
    further_names: Sequence[str] = ()
    """DNS names besides the service's, for API servers that call the webhook by a URL."""

    @property
    def names(self) -> tuple[str, ...]:
        """The DNS names of the certificate; Go asks for `<service>.<namespace>.svc`."""
        host = f"{self.service}.{self.namespace}.svc"
        return (host, f"{host}.cluster.local", *self.further_names)

    @property
    def configurations(self) -> list[tuple[Resource, str]]:
        """The webhook configurations that are ours."""
        return [(MUTATING_WEBHOOKS, name) for name in self.mutating] + [
            (VALIDATING_WEBHOOKS, name) for name in self.validating
        ]


@dataclass(slots=True)
class Certificates:
    """Keeps the certificate of `context`, in steps; `refused` is the client's error for an answer that is no success.

    `ready` is set once there is a certificate to serve, and the API server was told of its CA as far as it let us.
    """

    client: Client
    refused: type[Exception]
    context: ssl.SSLContext
    place: Place
    now: Callable[[], datetime]
    timing: Timing = field(default_factory=Timing)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    _served: Keychain | None = None
    _minted: datetime | None = None

    @property
    def ends(self) -> datetime | None:
        """When the certificate that is served ends; None while there is none."""
        return self._served.current.ends if self._served else None

    async def step(self, *, renew: bool = False) -> Keychain:
        """Everything that is to be done now. Raises the client's errors, other than lost races; then step again.

        `renew` begins a renewal before its time, unless one is under way.
        """
        began = self.now()
        secret = await self._read_or_create()
        chain = self._chain_in(secret)
        if chain is None:
            return await self._write(secret, self._remedy())
        self._serve(chain)
        try:
            told = await self._tell(chain, began)
        finally:
            self.ready.set()  # not before: whoever waits for the webhooks would meet a CA that nobody knows
        now = self._server_now()
        following = advanced(chain, self.place.names, now, self.timing, told=told, renew=renew)
        new_pair = minted(chain, following) and now >= chain.current.begins
        if following is chain or (new_pair and not renew and self._has_just_minted()):
            return chain
        stored = await self._write(secret, following)
        self._minted = self.now() if new_pair else self._minted
        return stored

    async def keep(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Steps for ever, a little faster after a failed one."""
        while True:
            pause = INTERVAL
            try:
                await self.step()
            except self.refused as error:
                log.warning("the webhook's certificate could not be looked after: %s", error)
                pause = RETRY_INTERVAL
            except Exception:  # a certificate is no reason to end the controller
                log.exception("the webhook's certificate could not be looked after")
                pause = RETRY_INTERVAL
            await sleep(pause)

    def _server_now(self) -> datetime:
        return self.client.server_time or self.now()

    def _has_just_minted(self) -> bool:
        """Whether this replica has to wait with another pair.

        It does not in place of a pair of the future: what made that has a clock that is ahead, and makes its next
        one no sooner than this allows, so the right clocks have their way most of the time.
        """
        return self._minted is not None and abs(self.now() - self._minted) < PATIENCE

    async def _read_or_create(self) -> Object:
        while True:
            try:
                return await self.client.get(SECRETS, self.place.secret, self.place.namespace)
            except self.refused as error:
                if _status(error) != NOT_FOUND:
                    raise
            try:
                return await self._create(self._remedy())
            except self.refused as error:
                if _status(error) != CONFLICT:
                    raise

    async def _create(self, chain: Keychain) -> Object:
        body = to_secret(chain)
        body["data"] = {name: value for name, value in body["data"].items() if value is not None}
        body["metadata"] |= {"name": self.place.secret, "namespace": self.place.namespace}
        body |= {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls"}
        return await self.client.create(SECRETS, body, self.place.namespace)

    def _chain_in(self, secret: Mapping[str, Any]) -> Keychain | None:
        try:
            return from_secret(secret, self.place.names)
        except BadPair as error:
            log.warning(
                "the Secret %s/%s is written anew: %s", self.place.namespace, self.place.secret, error
            )
            return None

    def _remedy(self) -> Keychain:
        """What to store where nothing usable is stored: what is served, or something new."""
        return self._served or fresh(self.place.names, self._server_now(), self.timing)

    async def _write(self, secret: Mapping[str, Any], chain: Keychain) -> Keychain:
        """Stores the next stage and takes it up; where another replica was first, what that one stored."""
        body = to_secret(chain)
        body["metadata"]["resourceVersion"] = secret["metadata"]["resourceVersion"]
        try:
            await self.client.patch(SECRETS, self.place.secret, body, self.place.namespace, kind="merge")
        except self.refused as error:
            if _status(error) not in (CONFLICT, NOT_FOUND):
                raise
            stored = self._chain_in(await self._read_or_create())
            if stored is None:
                raise
            chain = stored
        await self._tell(chain, self.now())
        self._serve(chain)
        self.ready.set()
        return chain

    def _serve(self, chain: Keychain) -> None:
        if self._served is None or self._served.current != chain.current:
            load_into(self.context, chain.current.certificate, chain.current.key)
            log.info("serving the certificate that ends at %s", chain.current.ends)
        self._served = chain

    async def _tell(self, chain: Keychain, since: datetime) -> bool:
        """Gives the API server the CAs to trust; whether every configuration of ours had exactly them already.

        `since` is when the chain was read.
        """
        bundle = base64.b64encode(chain.trusted).decode()
        told = [await self._tell_one(res, name, bundle, since) for res, name in self.place.configurations]
        return all(told)

    async def _tell_one(self, res: Resource, name: str, bundle: str, since: datetime) -> bool:
        try:
            configuration = await self.client.get(res, name)
        except self.refused as error:
            if _status(error) != NOT_FOUND:
                raise
            return True
        patch = bundle_patch(configuration, bundle)
        if not patch:
            return True
        if abs(self.now() - since) > self.timing.settle / 2:
            return False  # this process stood still meanwhile: another may have gone on, so read anew
        try:
            await self.client.patch(res, name, patch, kind="json")
        except self.refused as error:
            if _status(error) not in (NOT_FOUND, CONFLICT, UNPROCESSABLE):
                raise
        else:
            log.info("%s %s has the webhook's CA now", res.kind, name)
        return False


def _status(error: Exception) -> int:
    status = getattr(error, "status", 0)
    return status if isinstance(status, int) else 0
