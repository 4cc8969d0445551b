"""The figures of several runs as a table, for terminals and for Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Figures = Mapping[str, Any]

COLUMNS: Sequence[tuple[str, Callable[[Figures], str]]] = (
    ("N", lambda f: str(f["scenario"]["nodes"])),
    ("C", lambda f: str(f["scenario"]["concurrency"])),
    ("other pods", lambda f: str(f["scenario"]["other_pods"])),
    ("API server", lambda f: "real" if f["scenario"]["real"] else "memory"),
    ("skipped", lambda f: "yes" if f["scenario"].get("skip") else "no"),
    ("load average after", lambda f: f"{f['machine']['load_after']:.1f}" if "machine" in f else "-"),
    ("makespan / ideal", lambda f: f"{f['makespan_ratio']:.3f}" if f["makespan_ratio"] else "-"),
    ("slot p50 ms", lambda f: f"{1000 * f['slot_seconds']['p50']:.0f}"),
    ("slot p99 ms", lambda f: f"{1000 * f['slot_seconds']['p99']:.0f}"),
    ("first write p50 ms", lambda f: _first_write(f, "p50")),
    ("first write p90 ms", lambda f: _first_write(f, "p90")),
    ("first write p99 ms", lambda f: _first_write(f, "p99")),
    ("requests / node", lambda f: f"{f['requests_per_node']:.1f}"),
    ("CPU ms / node", lambda f: f"{f['operator']['cpu_ms_per_node']:.1f}"),
    ("peak MiB", lambda f: f"{f['operator']['peak_mib']:.0f}"),
    ("lag p99 ms", lambda f: f"{1000 * f['loop_lag_p99_seconds']:.0f}"),
    ("status KB sent / node", lambda f: f"{status_bytes(f) / 1000 / f['scenario']['nodes']:.1f}"),
    ("status KB at the end", lambda f: f"{f['status_bytes']['nodeops'] / 1000:.0f}"),
    ("API server CPU ms / node", lambda f: f"{1000 * f['api_server']['cpu_seconds'] / _nodes(f):.0f}"),
    ("healthz failed", lambda f: f"{f['healthz']['failed']} of {f['healthz']['asked']}"),
)


def _first_write(found: Figures, share: str) -> str:
    spread = found.get("slot_to_first_write_seconds")
    return f"{1000 * spread[share]:.0f}" if spread and share in spread else "-"


def _nodes(found: Figures) -> int:
    return int(found["scenario"]["nodes"])


def status_bytes(found: Figures) -> int:
    """What the operator sent as statuses during the run."""
    return sum(
        int(found["bytes"].get(f"sent patch {kind}/status", 0)) for kind in ("nodeops", "nodeopupgrades")
    )


def markdown(runs: Sequence[Figures]) -> str:
    """The runs as a Markdown table, one column each: there are more figures than runs."""
    rows = [[title, *(cell(found) for found in runs)] for title, cell in COLUMNS]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * (len(runs) + 1))
    return "\n".join(lines)


def request_table(found: Figures) -> str:
    """The requests of one run by verb and resource, per node."""
    nodes = found["scenario"]["nodes"]
    lines = ["| request | count | per node |", "|---|---|---|"]
    ordered = sorted(found["requests"].items(), key=lambda item: -item[1])
    lines += [f"| {name} | {count} | {count / nodes:.2f} |" for name, count in ordered]
    return "\n".join(lines)
