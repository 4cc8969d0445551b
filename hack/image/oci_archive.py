"""Wraps one layer into an OCI archive, with the configuration that the Containerfile gives its image.

`oci_archive.py LAYER.tar ARCHIVE.tar --name NAME:TAG [--platform x86_64|aarch64]`

The time is SOURCE_DATE_EPOCH (0), so that the same layer gives the same archive. A test compares the configuration
with the Containerfile.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

CONFIG = {
    "User": "65532:65532",
    "Env": [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH=/app",
        "PYTHONDONTWRITEBYTECODE=1",
        "PYTHONUNBUFFERED=1",
    ],
    "Entrypoint": ["python3", "-m", "kairos_operator"],
    "Cmd": ["run"],
    "WorkingDir": "/",
}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
MEDIA = "application/vnd.oci.image"


def digest(content: bytes) -> str:
    """The digest by which OCI names a blob."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def descriptor(kind: str, content: bytes, **more: Any) -> dict[str, Any]:
    """How one blob is referred to."""
    return {"mediaType": f"{MEDIA}.{kind}", "digest": digest(content), "size": len(content), **more}


def files(layer: bytes, name: str, machine: str, epoch: int) -> dict[str, bytes]:
    """Every file of the archive: the OCI image layout with one image of one layer."""
    packed = gzip.compress(layer, mtime=0)
    config = as_json(
        {
            "architecture": ARCHITECTURES[machine],
            "os": "linux",
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)),
            "config": CONFIG,
            "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        }
    )
    manifest = as_json(
        {
            "schemaVersion": 2,
            "mediaType": f"{MEDIA}.manifest.v1+json",
            "config": descriptor("config.v1+json", config),
            "layers": [descriptor("layer.v1.tar+gzip", packed)],
        }
    )
    # The first is what the standard knows, the second what `ctr images import` goes by.
    tags = {"org.opencontainers.image.ref.name": name.rpartition(":")[2], "io.containerd.image.name": name}
    index = {
        "schemaVersion": 2,
        "manifests": [descriptor("manifest.v1+json", manifest, annotations=tags)],
    }
    blobs = {f"blobs/sha256/{digest(blob)[7:]}": blob for blob in (config, manifest, packed)}
    return {"oci-layout": as_json({"imageLayoutVersion": "1.0.0"}), "index.json": as_json(index), **blobs}


def as_json(value: Any) -> bytes:
    """One way to write each value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def write(archive: Path, contents: dict[str, bytes], epoch: int) -> None:
    """Writes the archive, its files in the order of their names."""
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        for name in sorted(contents):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(contents[name]), epoch, 0o644
            tar.addfile(entry, io.BytesIO(contents[name]))


def main() -> int:
    """Writes the archive and prints its image's digest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("layer", type=Path)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--name", required=True, help="NAME:TAG")
    parser.add_argument("--platform", choices=sorted(ARCHITECTURES), default=os.uname().machine)
    given = parser.parse_args()
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    contents = files(given.layer.read_bytes(), given.name, given.platform, epoch)
    write(given.archive, contents, epoch)
    print(f"{given.name} {json.loads(contents['index.json'])['manifests'][0]['digest']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
