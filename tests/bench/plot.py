"""Figures against N as small charts in one SVG file, drawn here, since a plotting library is a lot for a few lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

Figures = Mapping[str, Any]

WIDTH, HEIGHT, COLUMNS = 300, 190, 3
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 14, 30, 26
CHARTS: Sequence[tuple[str, Callable[[Figures], float]]] = (
    ("makespan / ideal", lambda f: f["makespan_ratio"] or 0.0),
    ("slot free to next start, p99 (ms)", lambda f: 1000 * f["slot_seconds"]["p99"]),
    ("requests per node", lambda f: f["requests_per_node"]),
    ("operator CPU per node (ms)", lambda f: f["operator"]["cpu_ms_per_node"]),
    ("operator peak RSS (MiB)", lambda f: f["operator"]["peak_mib"]),
    ("event loop lag p99 (ms)", lambda f: 1000 * f["loop_lag_p99_seconds"]),
)


def svg(runs: Sequence[Figures]) -> str:
    """One chart for each figure; runs of one kind are one line.

    One kind is one API server, and the same number or the same share of nodes at once.
    """
    groups: dict[str, list[Figures]] = {}
    for found in sorted(runs, key=lambda found: found["scenario"]["nodes"]):
        scenario = found["scenario"]
        where = "real" if scenario["real"] else "memory"
        skip = ", all skipped" if scenario.get("skip") else ""
        groups.setdefault(f"{where}{skip}, C={_share(scenario)}", []).append(found)
    rows = math.ceil(len(CHARTS) / COLUMNS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * COLUMNS} {HEIGHT * rows + 24}" '
        'font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, (title, value) in enumerate(CHARTS):
        place = f"translate({number % COLUMNS * WIDTH},{number // COLUMNS * HEIGHT})"
        parts.append(f'<g transform="{place}">{_chart(title, value, groups)}</g>')
    parts.append(_legend(list(groups), HEIGHT * rows + 14))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _share(scenario: Mapping[str, Any]) -> str:
    nodes, at_once = scenario["nodes"], scenario["concurrency"]
    return "N/10" if at_once * 10 == nodes else str(at_once)


def _chart(title: str, value: Callable[[Figures], float], groups: Mapping[str, Sequence[Figures]]) -> str:
    everything = [found for runs in groups.values() for found in runs]
    sizes = sorted({found["scenario"]["nodes"] for found in everything})
    top = max(map(value, everything), default=0.0) * 1.15 or 1.0
    low, high = math.log10(sizes[0]), math.log10(sizes[-1])

    def x(nodes: int) -> float:
        share = (math.log10(nodes) - low) / (high - low) if high > low else 0.5
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(height: float) -> float:
        return HEIGHT - _BOTTOM - height / top * (HEIGHT - _TOP - _BOTTOM)

    parts = [f'<text x="{_LEFT}" y="18" font-weight="bold">{escape(title)}</text>']
    for height in (0.0, top / 2, top):
        parts.append(f'<path d="M{_LEFT} {y(height):.1f}H{WIDTH - _RIGHT}" stroke="#ddd"/>')
        label = _figure(height)
        parts.append(f'<text x="{_LEFT - 5}" y="{y(height) + 4:.1f}" text-anchor="end">{label}</text>')
    for nodes in sizes:
        parts.append(f'<text x="{x(nodes):.1f}" y="{HEIGHT - 9}" text-anchor="middle">{nodes}</text>')
    for colour, runs in zip(_colours(), groups.values(), strict=False):
        points = [(x(found["scenario"]["nodes"]), y(value(found))) for found in runs]
        line = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{colour}"/>' for px, py in points]
    return "".join(parts)


def _figure(value: float) -> str:
    """Three digits that fit beside an axis: 14.5, 984, 64.6k."""
    return f"{value / 1000:.3g}k" if value >= 1000 else f"{value:.3g}"


def _legend(names: Sequence[str], height: int) -> str:
    parts = []
    for number, (name, colour) in enumerate(zip(names, _colours(), strict=False)):
        left = _LEFT + number * 160
        parts.append(f'<rect x="{left}" y="{height - 9}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{left + 15}" y="{height}">{escape(name)}</text>')
    return "".join(parts)


def _colours() -> list[str]:
    return ["#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a", "#bf3989", "#0a7e8c"]
