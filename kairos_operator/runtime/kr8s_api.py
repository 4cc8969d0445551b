"""kr8s over an aiohttp session: its credentials, discovery and object classes, on another wire.

Why: httpx, on which kr8s runs, makes about a twentieth of the PATCH calls per second once 32 are in flight
(encode/httpx#3215), and kr8s answers one 403 by closing the session that all watches and patches share.
Rules here:
- a 401 (or a certificate that no longer fits) makes one new login, shared by all calls that met it, and the
  call is made once more; a 403 is an answer like any other;
- sessions are never closed for that: the login goes with each request, so running watches stay;
- a token that comes from a file is read again when a minute has passed, since pods get a new one every hour.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from kr8s._api import Api
from yarl import URL

from kairos_operator.runtime.clock import Clock, SystemClock
from kairos_operator.runtime.errors import NoCluster
from kairos_operator.runtime.kr8s_response import as_httpx, raise_for_error
from kairos_operator.runtime.login import SERVICE_ACCOUNT, Login, log_in, read_token, without_userinfo
from kairos_operator.runtime.wire import new_session

TOKEN_SECONDS = 60.0
LOGIN_PAUSE = 10.0  # a login that is refused is not repeated for each call: exec plugins are slow and costly
LOGIN_SECONDS = 60.0
CALL_SECONDS = 30.0


class Kr8sApi(Api):
    """One connection to a cluster, for `KubeClient` and, as `api=`, for kr8s' own objects.

    `kubeconfig` is a path (or several, with colons) or the parsed content; None means the service account of
    the pod this runs in. `usual_proxy` says which proxy leads to a server where the kubeconfig names none. Make it with
    `connect`, end it with `close`.
    """

    def __init__(
        self,
        kubeconfig: str | dict[str, Any] | None = None,
        context: str | None = None,
        *,
        service_account: str = SERVICE_ACCOUNT,
        clock: Clock | None = None,
        usual_proxy: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        super().__init__(
            bypass_factory=True,
            kubeconfig=kubeconfig,
            context=context,
            serviceaccount=service_account,
        )
        if kubeconfig is None:
            self.auth._kubeconfig_path_or_dict = False  # type: ignore[assignment]  # or kr8s would look at KUBECONFIG by itself
        self._clock = clock or SystemClock()
        self._usual_proxy = usual_proxy
        self._login: Login | None = None
        self._logged_in_at = 0.0
        self._token_read_at = 0.0
        self._login_lock = asyncio.Lock()
        self._wires: dict[bool, aiohttp.ClientSession] = {}
        self._date = ""

    @classmethod
    async def connect(
        cls,
        kubeconfig: str | dict[str, Any] | None = None,
        context: str | None = None,
        *,
        service_account: str = SERVICE_ACCOUNT,
        clock: Clock | None = None,
        usual_proxy: Callable[[str], str | None] = lambda _: None,
    ) -> Kr8sApi:
        """Find the credentials; no call is made yet. Raises NoCluster."""
        api = cls(kubeconfig, context, service_account=service_account, clock=clock, usual_proxy=usual_proxy)
        await api._log_in()
        return api

    async def close(self) -> None:
        """End all connections, also the watches."""
        while self._wires:
            await self._wires.popitem()[1].close()

    @property
    def server(self) -> str:
        """The URL of the API server, as it may be said."""
        return without_userinfo(self._login.server) if self._login else ""

    @property
    def server_time(self) -> datetime | None:
        """The API server's clock, by the `Date` of its last answer (RFC 9110, 6.6.1); None where it gave none."""
        try:
            at = parsedate_to_datetime(self._date)
        except ValueError:
            return None
        return at if at.tzinfo else None

    @asynccontextmanager
    async def exchange(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout | None = None,
        before_send: Callable[[], None] | None = None,
        alone: bool = False,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request and its answer, of whatever status; see `_session_of` for `alone`. Raises what aiohttp raises."""
        login = self._current_login()
        for last in (False, True):
            if before_send is not None:
                before_send()
            try:
                response = await self._session_of(alone=alone).request(
                    method,
                    URL(login.server + path),
                    params=params,
                    data=data,
                    headers=[*(headers or {}).items(), *login.headers()],
                    timeout=timeout or aiohttp.ClientTimeout(total=CALL_SECONDS),
                    ssl=login.tls,
                    server_hostname=login.server_name,
                    proxy=login.proxy,
                    allow_redirects=False,
                )
            except aiohttp.ClientConnectorCertificateError:
                if last or not await self._log_in_again(login):
                    raise
            else:
                async with response:
                    self._date = response.headers.get("Date", "")
                    if response.status != 401 or last or not await self._log_in_again(login):
                        yield response
                        return
            login = self._current_login()

    @asynccontextmanager
    async def call_api(
        self,
        method: str = "GET",
        version: str = "v1",
        base: str = "",
        namespace: str | None = None,
        url: str = "",
        raise_for_status: bool = True,
        stream: bool = False,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        """The door through which kr8s' discovery and objects come; its answers look like httpx's."""
        path = self._construct_url(version, base, namespace, url)
        seconds = None if stream else kwargs.get("timeout") or CALL_SECONDS
        data = kwargs.get("content") or kwargs.get("data")
        exchange = self.exchange(
            method,
            path,
            params={name: str(value) for name, value in (kwargs.get("params") or {}).items()},
            data=data.encode() if isinstance(data, str) else data,
            headers={"Content-Type": "application/json", **(kwargs.get("headers") or {})},
            timeout=aiohttp.ClientTimeout(total=seconds),
        )
        async with exchange as response:
            answer = await as_httpx(method, response, stream=stream)
            if raise_for_status:
                raise_for_error(answer)
            yield answer

    def _session_of(self, *, alone: bool = False) -> aiohttp.ClientSession:
        """The session of all calls, or the one whose only connection the calls that are `alone` use one by one."""
        if alone not in self._wires:
            # no limit for all: `Transport` bounds the calls, and each watch needs a connection of its own
            self._wires[alone] = new_session(connections=1 if alone else 0)
        return self._wires[alone]

    def _current_login(self) -> Login:
        if self._login is None:
            raise NoCluster("not logged in: use Kr8sApi.connect")
        now = self._clock.monotonic()
        if self._login.token_file is not None and now - self._token_read_at >= TOKEN_SECONDS:
            self._token_read_at = now
            token = read_token(self._login.token_file) or self._login.token
            if token != self._login.token:
                self._login = replace(self._login, token=token)
        return self._login

    async def _log_in(self) -> None:
        async with asyncio.timeout(LOGIN_SECONDS):
            self._login = await log_in(self.auth, self._usual_proxy)
        self._logged_in_at = self._token_read_at = self._clock.monotonic()

    async def _log_in_again(self, refused: Login) -> bool:
        """Get a newer login than the refused one; False if there is none to be had now."""
        async with self._login_lock:
            if self._login is not refused:
                return True  # another call has met the same refusal, and logged in
            if self._clock.monotonic() - self._logged_in_at < LOGIN_PAUSE:
                return False
            self._logged_in_at = self._clock.monotonic()
            try:
                await self._log_in()
            except (NoCluster, TimeoutError):
                return False  # the old answer, a 401, tells the caller
            return True
