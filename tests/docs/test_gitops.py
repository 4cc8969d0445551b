"""The health check that docs/gitops.md gives to Argo CD says the right thing in every phase."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import DOCS, blocks
from tests.tools import find_lua


def _checks() -> dict[str, str]:
    """The Lua scripts by the key of argocd-cm."""
    for text in blocks(DOCS / "gitops.md", "yaml"):
        found = yaml.safe_load(text)
        if found["metadata"]["name"] == "argocd-cm":
            data: dict[str, str] = found["data"]
            return data
    raise AssertionError("docs/gitops.md has no argocd-cm")


def _lua(value: Any) -> str:
    """A JSON value as a Lua expression."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"[{json.dumps(key)}] = {_lua(inside)}" for key, inside in value.items()) + "}"
    return json.dumps(value)


@pytest.fixture(scope="module")
def lua() -> Path:
    found = find_lua()
    if found is None:
        pytest.skip("lua5.4 is not installed and cannot be fetched: apt-get install lua5.4")
    return found


def test_both_kinds_have_one() -> None:
    prefix = "resource.customizations.health.operator.kairos.io_"
    assert set(_checks()) == {prefix + "NodeOp", prefix + "NodeOpUpgrade"}


@pytest.mark.parametrize(
    ("obj", "health"),
    [
        ({"metadata": {}}, "Progressing|Waiting for the operator"),
        ({"metadata": {}, "status": {}}, "Progressing|Waiting for the operator"),
        ({"metadata": {}, "status": {"phase": "Pending"}}, "Progressing|Pending"),
        ({"metadata": {}, "status": {"phase": "Running", "message": "1 of 2"}}, "Progressing|1 of 2"),
        ({"metadata": {}, "status": {"phase": "Completed", "message": "done"}}, "Healthy|done"),
        ({"metadata": {}, "status": {"phase": "Failed", "message": "w-1"}}, "Degraded|w-1"),
        (
            {
                "metadata": {"annotations": {"operator.kairos.io/paused": "true"}},
                "status": {"phase": "Running", "message": "paused"},
            },
            "Suspended|paused",
        ),
        (
            {
                "metadata": {"annotations": {"operator.kairos.io/paused": "true"}},
                "status": {"phase": "Completed", "message": "done"},
            },
            "Healthy|done",
        ),
    ],
)
def test_it_tells_the_phase(lua: Path, obj: dict[str, Any], health: str) -> None:
    for script in _checks().values():
        program = f"obj = {_lua(obj)}\nlocal found = (function()\n{script}\nend)()\n"
        program += 'print(found.status .. "|" .. found.message)'
        done = subprocess.run(
            [lua, "-"], input=program, capture_output=True, text=True, timeout=30, check=False
        )
        assert (done.stdout.strip(), done.stderr) == (health, "")
