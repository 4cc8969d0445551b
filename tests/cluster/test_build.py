"""The builder and the finder of the control plane, with a stand-in for the Go toolchain."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from tests.cluster.controlplane import (
    Assets,
    ControlPlaneUnavailableError,
    RunningCluster,
    find_control_plane,
)
from tests.cluster.controlplane.build import CONTROL_PLANE, BuildError, build, built, minors, read_pin

FAKE_GO = """#!/bin/sh
if [ "$1" = env ]; then echo go{version}; exit 0; fi
echo "$@" >>{log}
echo compiling >&2
while [ "$1" != -o ]; do shift; done
{outcome}
"""


@pytest.fixture
def go_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of our own and a `go` on PATH that writes what it was asked."""
    for name in ("KUBEBUILDER_ASSETS", "KAIROS_TEST_KUBECONFIG", "KAIROS_TEST_KUBERNETES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    _fake_go(tmp_path)
    return tmp_path / "go.log"


def _fake_go(tmp_path: Path, outcome: str = 'echo binary >"$2"', version: str = "1.99.0") -> None:
    go = tmp_path / "bin" / "go"
    go.parent.mkdir(exist_ok=True)
    go.write_text(FAKE_GO.format(log=tmp_path / "go.log", outcome=outcome, version=version))
    go.chmod(0o755)


def _build(minor: str) -> None:
    build(read_pin(minor), lambda _: None)


def test_every_pinned_minor_names_its_version() -> None:
    assert {"1.35", "1.36"} <= set(minors())
    for minor in minors():
        assert read_pin(minor).version.startswith(f"v{minor}.")


def test_an_unknown_minor_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(BuildError, match="1\\.36"):
        read_pin("1.2")


def test_the_build_fills_the_cache_once(go_log: Path) -> None:
    said: list[str] = []
    directory = build(read_pin(), said.append)
    assert sorted(os.listdir(directory)) == sorted(CONTROL_PLANE)
    assert any("kube-apiserver" in line for line in said)
    build(read_pin(), said.append)
    assert len(go_log.read_text().splitlines()) == len(CONTROL_PLANE)


def test_a_program_on_demand_is_built_alone(go_log: Path) -> None:
    build(read_pin(), lambda _: None, ("kubelet",))
    assert built(read_pin(), ("kubelet",))
    assert not built(read_pin())


def test_the_minor_chooses_the_directory(go_log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAIROS_TEST_KUBERNETES", "1.35")
    found = find_control_plane(lambda _: None)
    assert isinstance(found, Assets)
    assert found.directory.name.startswith("v1.35.")
    assert "gitMinor=35" in go_log.read_text()


def test_two_builds_at_once_are_one(go_log: Path) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_build, args=("1.36",)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    assert [one.exitcode for one in both] == [0, 0]
    assert len(go_log.read_text().splitlines()) == len(CONTROL_PLANE)


def test_a_failure_leaves_nothing_behind_and_shows_the_compiler(go_log: Path, tmp_path: Path) -> None:
    _fake_go(tmp_path, outcome='echo half >"$2"; echo "no such module" >&2; exit 3')
    with pytest.raises(BuildError, match=r"(?s)etcd v1\.36.*no such module"):
        build(read_pin(), lambda _: None)
    assert os.listdir(read_pin().target) == []


def test_a_failed_build_says_how_to_get_a_control_plane(go_log: Path, tmp_path: Path) -> None:
    _fake_go(tmp_path, outcome="exit 1")
    with pytest.raises(ControlPlaneUnavailableError, match="KUBEBUILDER_ASSETS"):
        find_control_plane(lambda _: None)


def test_named_assets_win_and_must_be_whole(
    go_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    with pytest.raises(ControlPlaneUnavailableError, match="has no etcd"):
        find_control_plane(lambda _: None)
    for name in CONTROL_PLANE:
        (assets / name).touch(mode=0o755)
    assert find_control_plane(lambda _: None) == Assets(assets)
    assert not go_log.exists()


def test_a_named_cluster_comes_before_a_build(
    go_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    monkeypatch.setenv("KAIROS_TEST_KUBECONFIG", str(kubeconfig))
    with pytest.raises(ControlPlaneUnavailableError, match="names no file"):
        find_control_plane(lambda _: None)
    kubeconfig.touch()
    assert find_control_plane(lambda _: None) == RunningCluster(kubeconfig)
