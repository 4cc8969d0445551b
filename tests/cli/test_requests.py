"""How much the plugin asks of the API server: lists and no requests for single nodes, also with a thousand of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from kairos_operator.api.base import timestamp
from kairos_operator.api.resources import NODE_OP_UPGRADES
from kairos_operator.cli.connection import PAGE
from kairos_operator.cli.status import now
from tests.cli.site import Site, site
from tests.sandbox.apiserver.routes import Routes

MANY, FLYING = 1000, 50
LOGIN = 2  # what the client library asks before anything else: the version, and the kinds that there are

# What each command asks for: of each kind of thing once, and never node by node.
ASKED: dict[tuple[str, ...], set[str]] = {
    ("status",): {"nodeopupgrades", "nodeops"},
    ("status", "op"): {"nodeopupgrades/op"},
    ("history",): {"nodeopupgrades", "nodeops"},
    ("why", "op"): {"nodeopupgrades/op", "nodeops/op", "nodes", "pods", "jobs", "leases"},
    ("plan", "op"): {
        "nodeopupgrades/op",
        "nodes",
        "pods",
        "poddisruptionbudgets",
        "leases",
        "namespaces/default",
    },
    ("logs", "op"): {"nodeopupgrades/op", "pods"},
}


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Site]:
    """A thousand nodes, of which fifty are in flight; no operator, since nothing is to change meanwhile."""
    async with site(tmp_path) as found:
        records: dict[str, Any] = {}
        for number in range(MANY):
            name = f"n-{number:04}"
            found.node(name)
            records[name] = {"phase": "Pending", "step": "Waiting"}
            if number < FLYING:
                times = {"startedAt": timestamp(now()), "stepStartedAt": timestamp(now())}
                records[name] = {"phase": "Running", "step": "Job", "message": "running", **times}
        status = {"phase": "Running", "nodeStatuses": records, "startedAt": timestamp(now())}
        found.operation(NODE_OP_UPGRADES, "op", status, concurrency=FLYING)
        yield found


def counting(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The requests from now on, by what they are about."""
    seen: Counter[str] = Counter()
    answer = Routes.answer

    async def counted(self: Routes, request: web.Request) -> web.StreamResponse:
        seen[_about(request.path)] += 1
        return await answer(self, request)

    monkeypatch.setattr(Routes, "answer", counted)
    return seen


def _about(path: str) -> str:
    """`nodes`, `nodeops/op`; the login's questions are `login`."""
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:] if parts[0] == "apis" else []
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    return "/".join(rest) or "login"


@pytest.mark.parametrize("command", ASKED, ids=" ".join)
async def test_a_command_asks_once_for_each_kind_of_thing(
    fleet: Site, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    seen = counting(monkeypatch)
    said = await fleet.call(*command)
    assert said.exit_code in (0, 3), said.output
    assert seen.pop("login", 0) <= LOGIN
    assert set(seen) <= ASKED[command]
    pages = {about: MANY // PAGE if about == "nodes" else 1 for about in seen}
    assert dict(seen) == pages
    assert seen
