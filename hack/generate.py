"""Writes what is generated from the models: the CRDs, docs/reference.md and the dashboard.

With --check, it fails where the files differ instead.

`python hack/generate.py [--check]`, from anywhere; `task generate` and `task verify` call it.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path
from typing import Any

import yaml
from dashboard import dashboard
from reference import reference

from kairos_operator.api.crd import MODELS, custom_resource_definition

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Generated from kairos_operator/api by `task generate`; edit the models instead.\n"


class _Dumper(yaml.SafeDumper):
    """Writes every value out: two objects that share a list share no anchor."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def as_yaml(document: dict[str, Any]) -> str:
    """`document` as YAML with its keys in their own order, under the header."""
    return HEADER + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def generated() -> dict[Path, str]:
    """Every generated file and what belongs in it."""
    files = {
        ROOT / "crds" / f"{resource.group}_{resource.plural}.yaml": as_yaml(
            custom_resource_definition(resource)
        )
        for resource in MODELS
    }
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [path.name for path in files],
    }
    return {
        **files,
        ROOT / "crds" / "kustomization.yaml": as_yaml(kustomization),
        ROOT / "docs" / "reference.md": reference(),
        ROOT / "config" / "prometheus" / "dashboard.json": dashboard(),
    }


def differences() -> str:
    """What generating would change, as a unified diff; empty where nothing."""
    lines: list[str] = []
    for path, wanted in generated().items():
        there = path.read_text() if path.exists() else ""
        name = str(path.relative_to(ROOT))
        lines += difflib.unified_diff(
            there.splitlines(keepends=True), wanted.splitlines(keepends=True), name, f"{name} (generated)"
        )
    return "".join(lines)


def main() -> int:
    """Writes or checks; 1 where --check finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; fail on a difference")
    if parser.parse_args().check:
        found = differences()
        sys.stdout.write(found)
        if found:
            sys.stderr.write("generated files are out of date: run `task generate`\n")
        return 1 if found else 0
    for path, text in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
