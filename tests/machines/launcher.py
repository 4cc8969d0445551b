"""Starts the tests in the enclosure, and removes what a run leaves outside it: a directory and cgroups.

Rules: a run is known by its directory in the cache, which holds the pid and the start time of its launcher, so that
another process that has got the same pid is not taken for it. Only runs whose launcher is gone are cleaned up; all
their processes went with it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

from tests.cluster.controlplane.build import build, read_pin
from tests.machines import cgroups
from tests.machines.cluster import ASSETS, DIRECTORY, IMAGES, ROOT, RUN
from tests.machines.enclosure import run_enclosed
from tests.machines.stock import Tell, make_stock
from tests.tools import cache_root

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kubelet")
RUN_TIMEOUT = 3600.0
"""Seconds after which a run is ended, whatever it does."""
RESULTS = Path(__file__).parents[2] / "dist" / "machines"
PYTEST = ["-m", "pytest", "-m", "machines", "-p", "no:cacheprovider", "tests/machines"]


def launch(arguments: list[str], tell: Tell) -> int:
    """Runs pytest in the enclosure with those arguments, and returns its exit code."""
    clean_up(tell)
    assets = _assets(tell)
    stock = make_stock(tell)
    run = uuid.uuid4().hex[:8]
    directory = _runs() / run
    directory.mkdir(parents=True)
    (directory / "launcher.json").write_text(
        json.dumps({"pid": os.getpid(), "started": _started(os.getpid())})
    )
    environment = {
        **os.environ,
        RUN: run,
        DIRECTORY: str(directory),
        ROOT: str(stock.root),
        IMAGES: str(stock.images),
        ASSETS: str(assets),
        "KUBEBUILDER_ASSETS": str(assets),
    }
    child: subprocess.Popen[bytes] | None = None
    try:
        child = run_enclosed([sys.executable, *PYTEST, *arguments], environment)
        return child.wait(RUN_TIMEOUT)
    except subprocess.TimeoutExpired:
        tell(f"ended after {RUN_TIMEOUT:g} s")
        return 1
    finally:
        if child is not None:
            child.kill()
            child.wait()
        _keep_logs(directory)
        _remove(directory, tell)


def _keep_logs(directory: Path) -> None:
    """The logs of the last run, beside what its tests recorded."""
    shutil.rmtree(RESULTS / "logs", ignore_errors=True)
    for log in [*directory.glob("*/*/control/*.log"), *directory.glob("*/*/logs/*.log")]:
        cluster, machine, *_ = log.relative_to(directory).parts
        kept = RESULTS / "logs" / cluster / machine / log.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(log, kept)


def clean_up(tell: Tell) -> bool:
    """Removes what runs have left whose launcher is gone; False where something could not be removed."""
    done = True
    for directory in sorted(_runs().glob("*")):
        if not _alive(directory):
            tell(f"removing what the run {directory.name} has left")
            done = _remove(directory, tell) and done
    return done


def _runs() -> Path:
    return cache_root() / "machines" / "runs"


def _assets(tell: Tell) -> Path:
    named = os.environ.get("KUBEBUILDER_ASSETS", "")
    if named and all((Path(named) / program).exists() for program in PROGRAMS):
        return Path(named)
    return build(read_pin(), tell, PROGRAMS)


def _started(pid: int) -> str:
    """When a process started, in the kernel's clock ticks; empty for one that is gone (proc(5), field 22)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def _alive(directory: Path) -> bool:
    try:
        launcher = json.loads((directory / "launcher.json").read_text())
    except (OSError, ValueError):
        return False
    return bool(launcher["started"]) and _started(launcher["pid"]) == launcher["started"]


def _remove(directory: Path, tell: Tell) -> bool:
    mounted = [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(directory) in line]
    if mounted:
        tell(f"{directory} has mounts in the box's own namespace and is left alone: {mounted[0]}")
        return False
    deadline = time.monotonic() + 15
    left = cgroups.hierarchies(directory.name)
    while left and time.monotonic() < deadline:
        left = [top for top in left if top.exists() and not cgroups.remove(top)]
        time.sleep(0.1)
    for top in left:
        tell(f"{top} could not be removed: it still has processes")
    if not left:
        shutil.rmtree(directory, ignore_errors=True)
    return not left and not directory.exists()
