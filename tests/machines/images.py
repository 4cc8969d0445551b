"""Tiny images made of a static busybox: the pause container, and stand-ins for Kairos images.

The stand-in has what the operator's scripts ask of a Kairos image: a shell, its tools, /etc/kairos-release and a
`kairos-agent`. Archives are in the form of `docker save`, which containerd imports.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

AGENT = Path(__file__).parent / "node" / "kairos-agent"
PAUSE_NAME = "docker.io/local/pause:1"
APPLETS = """
[ ash awk base64 basename cat chmod chroot cp cut date dd df dirname echo env expr false find grep
head hostname httpd id kill ln ls mkdir mktemp mount mv nc printf ps readlink rm sed seq sh sleep
sort stat sync tail tee test touch tr true umount uname wc wget
"""
"""The tools of busybox that the image has."""


class KairosImage(NamedTuple):
    """A stand-in for a Kairos image: its name, its KAIROS_VERSION, and what its agent fails with, if it does."""

    name: str
    version: str
    fault: str = ""


OLD_IMAGE = KairosImage("quay.io/kairos/stand-in:v3.4.2", "v3.4.2")
NEW_IMAGE = KairosImage("quay.io/kairos/stand-in:v3.5.0", "v3.5.0")
BROKEN_IMAGE = KairosImage("quay.io/kairos/stand-in:v3.5.1", "v3.5.1", "no space left on the state partition")


def release_file(version: str) -> str:
    """A /etc/kairos-release of that version."""
    facts = {
        "KAIROS_ID": "kairos",
        "KAIROS_NAME": "kairos-standin-debian-12",
        "KAIROS_FAMILY": "debian",
        "KAIROS_FLAVOR": "debian",
        "KAIROS_FLAVOR_RELEASE": "12",
        "KAIROS_VARIANT": "core",
        "KAIROS_MODEL": "generic",
        "KAIROS_ARCH": "amd64",
        "KAIROS_RELEASE": version,
        "KAIROS_VERSION": version,
    }
    return "".join(f'{name}="{value}"\n' for name, value in facts.items())


def kairos_image(busybox: bytes, name: str, version: str, fault: str = "") -> bytes:
    """The archive of a stand-in. Also used for the workloads of tests: it has an httpd."""
    files = {
        "etc/kairos-release": (release_file(version).encode(), 0o644),
        "usr/bin/kairos-agent": (AGENT.read_bytes(), 0o755),
        "etc/passwd": (b"root:x:0:0:root:/root:/bin/sh\n", 0o644),
        "host/.keep": (b"", 0o644),
        "tmp/.keep": (b"", 0o644),
        "run/.keep": (b"", 0o644),
    }
    if fault:
        files["broken"] = (fault.encode(), 0o644)
    return _archive(name, _layer(busybox, files), {"Cmd": ["/bin/sh"]})


def pause_image(busybox: bytes) -> bytes:
    """The archive of the container that holds a pod's namespaces."""
    return _archive(PAUSE_NAME, _layer(busybox, {}), {"Entrypoint": ["/bin/sleep", "2147483647"]})


def _layer(busybox: bytes, files: dict[str, tuple[bytes, int]]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for path, (content, mode) in {"bin/busybox": (busybox, 0o755), **files}.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
        for applet in APPLETS.split():
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return sink.getvalue()


def _archive(name: str, layer: bytes, more: dict[str, Any]) -> bytes:
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": [path], "WorkingDir": "/", **more},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
    }
    packed = json.dumps(config).encode()
    config_name = hashlib.sha256(packed).hexdigest() + ".json"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for file, content in (
            (config_name, packed),
            ("layer.tar", layer),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            entry = tarfile.TarInfo(file)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return sink.getvalue()
