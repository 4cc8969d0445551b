"""A headless Chromium, driven over WebDriver (https://www.w3.org/TR/webdriver2/), with just what the tests need."""

from __future__ import annotations

import asyncio
import base64
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.sandbox.demo.children import free_ports

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
]
START_SECONDS = 60.0


def found() -> tuple[str, str] | None:
    """The browser and its driver, where both are installed."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Browser:
    """One window."""

    def __init__(self, http: aiohttp.ClientSession, session: str) -> None:
        self._http = http
        self._session = session

    async def command(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A command of the protocol; its value."""
        async with self._http.request(method, f"{self._session}/{path}", json=body) as response:
            answer = await response.json()
        assert response.status == 200, answer
        return answer["value"]

    async def open(self, url: str) -> None:
        """Go to a page, and wait until it is loaded."""
        await self.command("POST", "url", {"url": url})

    async def run(self, script: str, *arguments: Any) -> Any:
        """What a script in the page returns."""
        return await self.command("POST", "execute/sync", {"script": script, "args": list(arguments)})

    async def until(self, script: str, *arguments: Any) -> Any:
        """What the script returns, once that is something true. Raises TimeoutError after half a minute."""
        async with asyncio.timeout(30):
            while True:
                value = await self.run(script, *arguments)
                if value:
                    return value
                await asyncio.sleep(0.1)

    async def devtools(self, name: str, **parameters: Any) -> None:
        """A command of Chromium's own protocol."""
        await self.command("POST", "goog/cdp/execute", {"cmd": name, "params": parameters})

    async def shape(self, width: int, height: int, *, dark: bool = False, scale: float = 1.0) -> None:
        """The size of the window in CSS pixels, and which colours its user wants."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        await self.devtools("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.devtools("Emulation.setEmulatedMedia", features=features)

    async def picture(self) -> bytes:
        """The window as PNG."""
        return base64.b64decode(await self.command("GET", "screenshot"))


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """A browser with a fresh profile, ended with the block. Needs `found()`."""
    programs = found()
    assert programs is not None
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        driver = await asyncio.create_subprocess_exec(
            programs[1],
            f"--port={port}",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with aiohttp.ClientSession() as http:
                base = f"http://127.0.0.1:{port}"
                await _answering(http, base)
                options = {"binary": programs[0], "args": [*FLAGS, f"--user-data-dir={Path(profile) / 'p'}"]}
                wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
                async with http.post(f"{base}/session", json=wanted) as response:
                    answer = await response.json()
                assert response.status == 200, answer
                session = f"{base}/session/{answer['value']['sessionId']}"
                yield Browser(http, session)
                async with http.delete(session):
                    pass
        finally:
            driver.terminate()
            await driver.wait()


async def _answering(http: aiohttp.ClientSession, base: str) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                async with http.get(f"{base}/status") as response:
                    if (await response.json())["value"]["ready"]:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
