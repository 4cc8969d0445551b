"""Answers of an aiohttp session in the shape that kr8s expects: httpx responses and kr8s' own errors."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import httpx
from kr8s import ServerError


class _Stream(httpx.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._response.content.iter_any():
            yield chunk

    async def aclose(self) -> None:
        self._response.close()


class _Response(httpx.Response):
    async def aiter_lines(self) -> AsyncIterator[str]:
        """Lines that end with a newline; httpx would also split at U+0085 and others, inside of strings."""
        tail = b""
        async for chunk in self.aiter_bytes():
            *lines, tail = (tail + chunk).split(b"\n")
            for line in lines:
                yield line.decode()
        if tail:
            yield tail.decode()


async def as_httpx(method: str, response: aiohttp.ClientResponse, *, stream: bool) -> httpx.Response:
    """The answer as kr8s reads it; its body is read already unless it is to be streamed."""
    request = httpx.Request(method, str(response.url))
    content_type = {"Content-Type": response.headers.get("Content-Type", "")}
    if stream and response.status < 400:
        return _Response(response.status, headers=content_type, stream=_Stream(response), request=request)
    headers = dict(response.headers)
    for name in ("Content-Encoding", "Transfer-Encoding", "Content-Length"):
        headers.pop(name, None)  # the body is plain and whole by now
    return _Response(response.status, headers=headers, content=await response.read(), request=request)


def raise_for_error(answer: httpx.Response) -> None:
    """Raise kr8s' ServerError with the API server's message, as kr8s' objects expect it."""
    if not answer.is_error:
        return
    try:
        status = answer.json()
        message = str(status["message"])
    except (ValueError, KeyError, TypeError):
        status, message = answer.text, f"the API server answered with HTTP {answer.status_code}"
    raise ServerError(message, status=status, response=answer)
