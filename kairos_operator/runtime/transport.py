"""How a call goes over the wire, whatever it is about.

Rules:
- a call that changes something passes the fence right before it is sent;
- nothing that changes something is sent twice by itself; a read is, when its connection breaks;
- so many calls at once as `in_flight` allows, first come first served; watches do not count;
- every answer is counted, every failure is one of the types in `errors`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from kairos_operator.api.resources import Resource
from kairos_operator.runtime.errors import ServerError, Unreachable, from_status
from kairos_operator.runtime.kr8s_api import Kr8sApi
from kairos_operator.runtime.login import without_userinfo

CONNECT_SECONDS = 10.0
READ_ATTEMPTS = 3
READ_PAUSE = 0.2
BROKEN = (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, ConnectionResetError)


@dataclass(frozen=True, slots=True)
class Verb:
    """What a call does, in the words of RBAC, for the metrics and the fence."""

    name: str
    resource: Resource
    subresource: str = ""
    writes: bool = False

    @property
    def target(self) -> str:
        """The resource as RBAC writes it, such as `pods/eviction`."""
        return "/".join(part for part in (self.resource.plural, self.subresource) if part)

    @property
    def method(self) -> str:
        """The HTTP method."""
        return _METHODS.get(self.name, "GET")


_METHODS = {
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
}


class Transport:
    """Sends calls and opens streams; see `KubeClient` for the parameters."""

    def __init__(
        self,
        api: Kr8sApi,
        *,
        fence: Callable[[], None] | None = None,
        on_call: Callable[[str, str, str, float], None] | None = None,
        on_bytes: Callable[[str, str, int, int], None] | None = None,
        decode: Callable[[bytes], Any] = json.loads,
        in_flight: int = 16,
        timeout: float = 30.0,
        alone: bool = False,
    ) -> None:
        self._api = api
        self._alone = alone
        self._decode = decode
        self._on_bytes = on_bytes or _uncounted
        self._fence = fence
        self._on_call = on_call
        self._slots = asyncio.Semaphore(in_flight)
        self._timeout = timeout

    async def call(
        self,
        verb: Verb,
        path: str,
        *,
        body: Mapping[str, Any] | list[Any] | None = None,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        """Make one call and return the object it answers with."""
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {} if data is None else {"Content-Type": content_type}
        attempts = READ_ATTEMPTS if verb.method == "GET" else 1
        for attempt in range(1, attempts + 1):
            try:
                async with self._slots:
                    return await self._send(verb, path, data=data, params=params, headers=headers)
            except Unreachable as error:
                if attempt == attempts or not isinstance(error.__cause__, BROKEN):
                    raise
            await asyncio.sleep(READ_PAUSE * attempt)
        raise AssertionError("the loop returns or raises")

    @asynccontextmanager
    async def stream(
        self, verb: Verb, path: str, *, params: Mapping[str, str], total: float, silence: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a long answer and hand out its chunks; `total` and `silence` (seconds) bound it."""
        timeout = aiohttp.ClientTimeout(total=total, sock_connect=CONNECT_SECONDS, sock_read=silence)
        exchange = self._api.exchange("GET", path, params=params, timeout=timeout, alone=self._alone)
        with _typed(self._api.server):
            async with AsyncExitStack() as stack:
                with self._counted(verb) as count:
                    response = await stack.enter_async_context(exchange)
                    count(response.status)
                # a stream that is not read to its end must not go back to the pool
                stack.callback(response.close)
                if response.status != 200:
                    raise from_status(response.status, await response.read(), response.headers)
                yield response.content.iter_any()

    def count_received(self, verb: Verb, size: int) -> None:
        """A chunk of a stream was read."""
        self._on_bytes(verb.name, verb.target, 0, size)

    async def _send(
        self,
        verb: Verb,
        path: str,
        *,
        data: bytes | None,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
    ) -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=self._timeout, sock_connect=CONNECT_SECONDS)
        fence = self._fence if verb.writes else None
        with _typed(self._api.server), self._counted(verb) as count:
            exchange = self._api.exchange(
                verb.method,
                path,
                data=data,
                params=params or {},
                headers=headers,
                timeout=timeout,
                before_send=fence,
                alone=self._alone,
            )
            async with exchange as response:
                count(response.status)
                answer = await response.read()
        self._on_bytes(verb.name, verb.target, len(data or b""), len(answer))
        if response.status >= 300:
            raise from_status(response.status, answer, response.headers)
        return self._parse(response.status, answer)

    def _parse(self, status: int, answer: bytes) -> dict[str, Any]:
        try:
            parsed = self._decode(answer)
        except ValueError as error:
            raise ServerError(status, "NotJSON", "the API server's answer is not JSON") from error
        if not isinstance(parsed, dict):
            raise ServerError(status, "NotAnObject", "the API server's answer is not an object")
        return parsed

    @contextmanager
    def _counted(self, verb: Verb) -> Iterator[Callable[[int], None]]:
        started = time.monotonic()
        code = "<error>"  # as client-go names it

        def count(status: int) -> None:
            nonlocal code
            code = str(status)

        try:
            yield count
        finally:
            if self._on_call is not None:
                self._on_call(verb.name, verb.target, code, time.monotonic() - started)


def _uncounted(verb: str, resource: str, sent: int, received: int) -> None:
    """Nobody wants to know the bytes."""


@contextmanager
def _typed(server: str) -> Iterator[None]:
    """Whatever the network does becomes Unreachable; the cause tells what it was."""
    try:
        yield
    except TimeoutError as error:
        raise Unreachable(f"no answer from {server} in time") from error
    except (aiohttp.ClientError, OSError) as error:
        raise Unreachable(f"no answer from {server}: {_said(error) or type(error).__name__}") from error


def _said(error: Exception) -> str:
    """The text of an error, without the URL of a proxy, which may have a password in it."""
    if isinstance(error, aiohttp.ClientResponseError):
        return f"{error.status} {error.message}"
    return without_userinfo(str(error))
