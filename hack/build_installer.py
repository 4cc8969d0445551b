"""Renders the whole installation into one file, with the image of your choice.

`python hack/build_installer.py [--image NAME[:TAG][@DIGEST]] [--overlay DIRECTORY] [--output FILE]`

Needs `kustomize`, or a `kubectl`, which has one in it; KUBECTL names it where it is not on PATH. The same input gives
the same file.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGE = "quay.io/kairos/operator-py"


class NotRendered(Exception):
    """The installation could not be rendered; the text says why."""


def image_change(reference: str) -> dict[str, str]:
    """What kustomize is to put in place of the image, from a reference. Raises NotRendered."""
    found = re.fullmatch(
        r"(?P<name>[^@\s]+?)(:(?P<tag>[\w][\w.-]{0,127}))?(@(?P<digest>sha256:[0-9a-f]{64}))?", reference
    )
    if not found or not (found["tag"] or found["digest"]):
        raise NotRendered(f"{reference!r} is no image reference with a tag or a digest")
    change = {"name": IMAGE, "newName": found["name"]}
    return change | ({"digest": found["digest"]} if found["digest"] else {"newTag": found["tag"]})


def builder() -> list[str]:
    """The command that builds a kustomization. Raises NotRendered."""
    kubectl = os.environ.get("KUBECTL", "kubectl")
    for tool, command in ((kubectl, "kustomize"), ("kustomize", "build")):
        found = shutil.which(tool)
        if found:
            return [found, command]
    raise NotRendered("neither kubectl nor kustomize is on PATH; KUBECTL may name a kubectl")


def render(overlay: Path, image: str) -> str:
    """The manifests of an overlay with that image in all places. Raises NotRendered."""
    with tempfile.TemporaryDirectory() as work:
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [os.path.relpath(overlay.resolve(), Path(work).resolve())],
            "images": [image_change(image)] if image else [],
        }
        (Path(work) / "kustomization.yaml").write_text(json.dumps(kustomization))
        done = subprocess.run([*builder(), work], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotRendered(done.stderr.strip())
    return done.stdout


def main() -> int:
    """Writes the file; 1 with a sentence where that cannot be done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--image", default="", help="the operator's image (default: what the overlay says)")
    parser.add_argument("--overlay", type=Path, default=ROOT / "config" / "default", metavar="DIRECTORY")
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "install.yaml", metavar="FILE")
    given = parser.parse_args()
    try:
        text = render(given.overlay, given.image)
    except NotRendered as why:
        print(f"build_installer: {why}", file=sys.stderr)
        return 1
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(text)
    print(given.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
