"""The page in a real browser: what it shows, that it follows, and that it fits a phone, in light and dark."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.status_page.browser import Browser, browser, found
from tests.status_page.cluster import Cluster, busy, done, node

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        found() is None, reason="no browser: apt-get install chromium chromium-driver to test the page in one"
    ),
]
LIVE = "return document.getElementById('link').className === 'live'"
TILE = "return document.querySelector(`[data-node='${arguments[0]}']`)?.textContent ?? ''"
PHASE = "return document.querySelector(`[data-node='${arguments[0]}']`)?.dataset.phase ?? ''"


@pytest.fixture
async def window() -> AsyncIterator[Browser]:
    async with browser() as made:
        yield made


async def test_it_shows_each_node_in_its_phase_and_follows(window: Browser) -> None:
    cluster = Cluster()
    busy(cluster)
    async with cluster.page() as port:
        await window.open(f"http://127.0.0.1:{port}/")
        await window.until(LIVE)
        assert await window.run(PHASE, "worker-3") == "Running"
        assert "the node is down" in await window.run(TILE, "worker-3")
        assert await window.run(PHASE, "control-plane-3") == "Skipped"
        blocked = await window.run(
            "return [...document.querySelectorAll('.blocked')].map(e => e.textContent)"
        )
        assert [text.partition(" on worker-4")[0] for text in blocked] == ["Drain blocked: shop/web-7d9c"]
        assert "came back with v3.4.1" in await window.run(TILE, "edge-2")
        titles = await window.run("return [...document.querySelectorAll('h2')].map(e => e.textContent)")
        assert titles == [
            f"kairos-operations/{n}" for n in ("upgrade-v3.4.2", "canary-v3.4.2", "ntp-config-x7k2p")
        ]
        opened = await window.run("return [...document.querySelectorAll('details')].map(e => e.open)")
        assert opened == [True, False, False], "what is over is folded"
        assert "echo secret" not in await window.run("return document.documentElement.outerHTML")

        nodes = {"worker-3": done(), "worker-4": node("Job", "Running", "Job j is running")}
        cluster.upgrade("upgrade-v3.4.2", "Running", "now two", nodes)
        await window.until("return document.body.textContent.includes('now two')")
        assert await window.run(PHASE, "worker-3") == "Completed"
        assert "Job j is running" in await window.run(TILE, "worker-4")
        assert await window.run("return document.querySelectorAll('.blocked').length") == 0
        cluster.delete_upgrade("canary-v3.4.2")
        await window.until("return !document.body.textContent.includes('canary')")


async def test_markup_in_a_message_stays_text(window: Browser) -> None:
    cluster = Cluster()
    hostile = (
        "<img src=x onerror=\"document.title='taken over'\"><script>document.title='taken over'</script>"
    )
    cluster.upgrade("x", "Running", hostile, {"n": node("Job", "Running", hostile)})
    async with cluster.page() as port:
        await window.open(f"http://127.0.0.1:{port}/")
        await window.until(LIVE)
        assert await window.run("return document.querySelectorAll('main img, main script').length") == 0
        assert hostile in await window.run(TILE, "n")
        assert await window.run("return document.title") == "Kairos operator"


async def test_it_says_when_the_connection_is_lost_and_takes_up_again(window: Browser) -> None:
    cluster = Cluster()
    cluster.upgrade("x", "Running", "before", {"n": node("Job", "Running")})
    async with cluster.page() as port:
        await window.open(f"http://127.0.0.1:{port}/")
        await window.until(LIVE)
    await window.until("return document.getElementById('link').className === 'lost'")
    cluster.delete_upgrade("x")
    cluster.upgrade("y", "Running", "after", {"n": node("Job", "Running")})
    async with cluster.page(port):
        await window.until(LIVE)
        text = await window.run("return document.body.textContent")
        assert "after" in text
        assert "before" not in text


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
async def test_nothing_sticks_out_and_every_text_can_be_read(window: Browser, width: int, dark: bool) -> None:
    cluster = Cluster()
    busy(cluster)
    long = {"a-node-whose-name-is-as-long-as-" + "x" * 200: node("Job", "Running", "word" * 100)}
    cluster.upgrade("z" * 200, "Running", "m" * 300, long)
    async with cluster.page() as port:
        await window.shape(width, 800, dark=dark)
        await window.open(f"http://127.0.0.1:{port}/")
        await window.until(LIVE)
        await window.run("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert await window.run("return document.documentElement.scrollWidth") <= width
        assert await window.run(CONTRAST) >= 4.5, "the least contrast of WCAG 2, level AA"


async def test_a_thousand_nodes_are_small_tiles_and_quick(window: Browser) -> None:
    cluster = Cluster()
    nodes = {f"node-{number:04}": done() for number in range(500)}
    nodes |= {f"node-{number:04}": node("Waiting", "Pending") for number in range(500, 980)}
    nodes |= {f"node-{number:04}": node("Job", "Running", "Job is running") for number in range(980, 1000)}
    cluster.upgrade("fleet", "Running", "500 of 1000 nodes are done, 20 in flight", nodes)
    async with cluster.page() as port:
        await window.shape(1200, 900)
        await window.open(f"http://127.0.0.1:{port}/")
        await window.until(LIVE)
        assert await window.run("return document.querySelectorAll('.tile').length") == 1000
        assert await window.run("return document.documentElement.scrollHeight") < 3000
        assert "Job is running" in await window.run(TILE, "node-0999")


# The least contrast between a text and what is behind it, by the formula of WCAG 2.
CONTRAST = """
const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
  .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (each) => {
  for (let at = each; at; at = at.parentElement) {
    const found = rgb(getComputedStyle(at).backgroundColor);
    if (found.length < 4 || found[3] > 0) return found;
  }
  return [255, 255, 255];
};
let least = 21;
for (const each of document.querySelectorAll("h1, h2, h3, p, b, small, .phase")) {
  if (!each.textContent.trim()) continue;
  const [a, b] = [light(rgb(getComputedStyle(each).color)), light(behind(each))];
  least = Math.min(least, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
}
return least;
"""
