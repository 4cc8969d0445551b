"""Nothing of a machine is made where the box could be reached, and what a killed run left is removed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.machines import network
from tests.machines.cgroups import remove
from tests.machines.cluster import MachineCluster
from tests.machines.enclosure import VARIABLE, NotEnclosedError, check_enclosed, namespaces
from tests.machines.launcher import clean_up


def test_without_the_launcher_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    for start in (check_enclosed, network.build_bridge, lambda: MachineCluster(["one"])):
        with pytest.raises(NotEnclosedError):
            start()


@pytest.mark.parametrize("kind", ["pid", "mnt", "net", "uts", "ipc"])
def test_one_namespace_shared_with_the_box_is_enough_to_refuse(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    others = {name: f"{name}:[1]" for name in namespaces()}
    monkeypatch.setenv(VARIABLE, json.dumps({**others, kind: namespaces()[kind]}))
    with pytest.raises(NotEnclosedError, match=kind):
        check_enclosed()


def test_an_ordinary_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv(VARIABLE, json.dumps({name: f"{name}:[1]" for name in namespaces()}))
    with pytest.raises(NotEnclosedError, match="root"):
        check_enclosed()


def test_only_what_a_dead_run_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    runs = tmp_path / "kairos-operator" / "machines" / "runs"
    ticks = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    launchers = {
        "alive": {"pid": os.getpid(), "started": ticks},
        "dead": {"pid": 2**22, "started": "5"},
        "reused": {"pid": os.getpid(), "started": "5"},
    }
    for name, launcher in launchers.items():
        (runs / name / "node-a").mkdir(parents=True)
        (runs / name / "launcher.json").write_text(json.dumps(launcher))
    told: list[str] = []
    assert clean_up(told.append)
    assert [path.name for path in runs.iterdir()] == ["alive"]
    assert len(told) == 2


def test_a_cgroup_that_is_still_in_use_is_said_to_be_left(tmp_path: Path) -> None:
    # A directory with a file refuses rmdir as a cgroup with processes does.
    (tmp_path / "top" / "busy").mkdir(parents=True)
    (tmp_path / "top" / "free").mkdir()
    (tmp_path / "top" / "busy" / "file").touch()
    assert not remove(tmp_path / "top")
    (tmp_path / "top" / "busy" / "file").unlink()
    assert remove(tmp_path / "top")
    assert not (tmp_path / "top").exists()
