"""The two ways to build the image give the same image, the same each time, of what the lock files say."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import re
import shlex
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from tests.config.installation import ROOT

ARCHIVER = ROOT / "hack" / "image" / "oci_archive.py"


@pytest.fixture(scope="module")
def archiver() -> ModuleType:
    """hack/image/oci_archive.py, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("oci_archive", ARCHIVER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pins(path: Path) -> dict[str, str]:
    """The version of each package in a lock file."""
    return dict(re.findall(r"^([a-z0-9][a-z0-9.-]*)==(\S+)", path.read_text(), re.MULTILINE))


def test_the_image_has_what_was_tested() -> None:
    image, tested = pins(ROOT / "requirements.lock"), pins(ROOT / "requirements-dev.lock")
    assert {name: tested.get(name) for name in image} == image
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = {re.split(r"[<>=\[ ]", each)[0].lower() for each in project["dependencies"]}
    assert direct <= set(image)
    text = (ROOT / "requirements.lock").read_text()
    assert text.count("==") <= text.count("--hash=sha256:"), "every package with a hash"


def test_both_recipes_configure_the_same_image(archiver: ModuleType) -> None:
    last_stage = (ROOT / "Containerfile").read_text().rpartition("\nFROM ")[2].replace("\\\n", " ")
    lines = dict(
        line.split(" ", 1)
        for line in last_stage.splitlines()
        if line.split(" ")[0] in {"USER", "WORKDIR", "ENTRYPOINT", "CMD", "ENV"}
    )
    config = archiver.CONFIG
    assert lines["USER"] == config["User"]
    assert lines["WORKDIR"] == config["WorkingDir"]
    assert json.loads(lines["ENTRYPOINT"]) == config["Entrypoint"]
    assert json.loads(lines["CMD"]) == config["Cmd"]
    assert set(shlex.split(lines["ENV"])) == {each for each in config["Env"] if not each.startswith("PATH=")}


def test_the_build_is_given_what_the_image_is_made_of() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {"requirements.lock", "LICENSE", "kairos_operator", "webhooks", "hack/image"}
    assert copied <= kept
    assert all((ROOT / each).exists() for each in kept)


def test_an_archive_is_whole_and_always_the_same(tmp_path: Path) -> None:
    layer = tmp_path / "layer.tar"
    with tarfile.open(layer, "w") as tar:
        tar.addfile(tarfile.TarInfo("etc"), io.BytesIO())

    def build(name: str) -> bytes:
        command = [sys.executable, str(ARCHIVER), str(layer), str(tmp_path / name), "--name", "op:1"]
        subprocess.run(command, check=True, env={"SOURCE_DATE_EPOCH": "1000"}, capture_output=True)
        return (tmp_path / name).read_bytes()

    assert build("a") == build("b")
    with tarfile.open(tmp_path / "a") as tar:
        found = {member.name: _read(tar, member) for member in tar}
    blobs = {name.rpartition("/")[2]: content for name, content in found.items() if name.startswith("blobs/")}
    assert all(hashlib.sha256(content).hexdigest() == name for name, content in blobs.items())
    (image,) = json.loads(found["index.json"])["manifests"]
    assert image["annotations"]["io.containerd.image.name"] == "op:1"
    manifest = json.loads(blobs[image["digest"][7:]])
    parts = [manifest["config"], *manifest["layers"]]
    assert [part["size"] for part in parts] == [len(blobs[part["digest"][7:]]) for part in parts]
    config = json.loads(blobs[manifest["config"]["digest"][7:]])
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(layer.read_bytes()).hexdigest()]
    assert config["created"] == "1970-01-01T00:16:40Z"


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()
