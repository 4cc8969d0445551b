"""Panels with their answers as one SVG picture, laid out and coloured as Grafana does it, without Grafana.

Grafana's own drawing differs in detail; what is shown, where, in which unit and under which name is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from tests.monitoring.panels import Answered
from tests.monitoring.prometheus import Series

COLUMN, ROW, GAP = 58, 24, 6  # pixels of Grafana's grid
_TITLE, _AXIS, _LEFT = 28, 16, 66
_LINE, _LEGENDS = 14, 5  # height of a line of the legend, and how many of them there is room for
_NAMED = {"green": "#73bf69", "red": "#f2495c", "yellow": "#f2cc0c", "blue": "#5794f2", "text": "#8e8e99"}
_COLOURS = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#96d98d", "#ca95e5")
Line = tuple[str, Series]


def picture(found: Sequence[Answered], start: float, end: float) -> str:
    """The whole dashboard."""
    bottom = max(one.panel.place["y"] + one.panel.place["h"] for one in found)
    width, height = 24 * COLUMN + GAP, bottom * ROW + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
        ' font-size="11" fill="#ccccdc">',
        '<rect width="100%" height="100%" fill="#111217"/>',
        *(_placed(one, start, end) for one in found),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _placed(one: Answered, start: float, end: float) -> str:
    place = one.panel.place
    left, top = place["x"] * COLUMN + GAP, place["y"] * ROW + GAP
    width, height = place["w"] * COLUMN - GAP, place["h"] * ROW - GAP
    moved = f'<g transform="translate({left},{top})">'
    title = f'<text x="10" y="19" font-size="13" font-weight="600">{escape(one.panel.title)}</text>'
    if one.panel.kind == "row":
        return f"{moved}{title}</g>"
    lines = [(query.name(series.labels), series) for query, answer in one.answers for series in answer]
    box = f'<rect width="{width}" height="{height}" rx="2" fill="#181b1f" stroke="#2c3235"/>'
    if not lines:
        inside = f'<text x="{width / 2}" y="{height / 2}" text-anchor="middle" fill="#8e8e99">No data</text>'
    elif one.panel.kind == "stat":
        inside = _stat(lines, one, width, height)
    else:
        inside = _chart(lines, one, (width, height), (start, end))
    return f"{moved}{box}{title}{inside}</g>"


def _stat(lines: Sequence[Line], one: Answered, width: int, height: int) -> str:
    parts = []
    for number, (name, series) in enumerate(lines):
        middle = width * (number + 0.5) / len(lines)
        number_shown = series.points[-1][1]
        value = escape(shown(number_shown, one.panel.unit))
        colour = [_NAMED[colour] for colour, begin in one.panel.steps if number_shown >= begin][-1]
        size = 36 if len(lines) == 1 else 24
        parts.append(f'<text x="{middle:.0f}" y="{height / 2 + 14:.0f}" font-size="{size}" text-anchor="middle"'
                     f' fill="{colour}">{value}</text>')  # fmt: skip
        parts.append(f'<text x="{middle:.0f}" y="{height - 14}" text-anchor="middle">{escape(name)}</text>')
    return "".join(parts)


def _chart(lines: Sequence[Line], one: Answered, size: tuple[int, int], span: tuple[float, float]) -> str:
    width, height = size
    shown_lines = _stacked(lines) if one.panel.stacked else list(lines)
    rows = min(_LEGENDS, -(-len(lines) // _across(lines, width)))
    low = height - _AXIS - rows * _LINE - 10
    top = max((value for _, series in shown_lines for _, value in series.points), default=0.0) * 1.05 or 1.0

    def x(at: float) -> float:
        return _LEFT + (at - span[0]) / (span[1] - span[0]) * (width - _LEFT - 12)

    def y(value: float) -> float:
        return low - value / top * (low - _TITLE - 4)

    parts = []
    for share in (0.0, 0.5, 1.0):
        height_of = y(share * top)
        parts.append(f'<path d="M{_LEFT} {height_of:.1f}H{width - 12}" stroke="#2c3235"/>')
        label = escape(shown(share * top, one.panel.unit))
        parts.append(f'<text x="{_LEFT - 6}" y="{height_of + 4:.1f}" text-anchor="end">{label}</text>')
    for share in (0.0, 0.5, 1.0):
        told = f"{share * (span[1] - span[0]):.0f} s"
        anchor = ("start", "middle", "end")[int(share * 2)]
        parts.append(f'<text x="{x(span[0] + share * (span[1] - span[0])):.1f}" y="{low + 14}"'
                     f' text-anchor="{anchor}">{told}</text>')  # fmt: skip
    for colour, (_, series) in reversed(list(zip(_colours(lines, one), shown_lines, strict=True))):
        parts += _line(
            [(x(at), y(value)) for at, value in series.points], colour, low if one.panel.stacked else 0
        )
    return "".join(parts) + _legend(lines, one, width, height - rows * _LINE)


def _stacked(lines: Sequence[Line]) -> list[Line]:
    """Each line on top of the ones before."""
    under: dict[float, float] = {}
    found = []
    for name, series in lines:
        points = []
        for at, value in series.points:
            under[at] = under.get(at, 0.0) + value
            points.append((at, under[at]))
        found.append((name, Series(series.labels, points)))
    return found


def _line(points: Sequence[tuple[float, float]], colour: str, ground: int) -> Iterable[str]:
    corners = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
    if ground:
        yield (f'<polygon points="{points[0][0]:.1f},{ground} {corners} {points[-1][0]:.1f},{ground}"'
               f' fill="{colour}" fill-opacity=".3"/>')  # fmt: skip
    yield f'<polyline points="{corners}" fill="none" stroke="{colour}" stroke-width="1.3"/>'


def _legend(lines: Sequence[Line], one: Answered, width: int, top: int) -> str:
    parts = []
    across = _across(lines, width)
    room = across * _LEGENDS
    fit = lines if len(lines) <= room else lines[: room - 1]
    for number, (colour, (name, _)) in enumerate(zip(_colours(lines, one), fit, strict=False)):
        left, height = 10 + number % across * (width // 2), top + number // across * _LINE
        parts.append(f'<rect x="{left}" y="{height - 4}" width="12" height="3" fill="{colour}"/>')
        parts.append(f'<text x="{left + 17}" y="{height}">{escape(name)}</text>')
    if len(fit) < len(lines):
        left, height = 10 + len(fit) % across * (width // 2), top + len(fit) // across * _LINE
        parts.append(f'<text x="{left}" y="{height}" fill="#8e8e99">and {len(lines) - len(fit)} more</text>')
    return "".join(parts)


def _across(lines: Sequence[Line], width: int) -> int:
    """How many names fit side by side."""
    return 2 if max(len(name) for name, _ in lines) * 7 + 30 < width / 2 or len(lines) > _LEGENDS else 1


def _colours(lines: Sequence[Line], one: Answered) -> list[str]:
    """A colour for each line: its own, where the panel says one."""
    given = (_NAMED[one.panel.colours[name]] if name in one.panel.colours else "" for name, _ in lines)
    return [own or _COLOURS[number % len(_COLOURS)] for number, own in enumerate(given)]


def shown(value: float, unit: str) -> str:
    """A value as Grafana writes it, in the units that the dashboard has."""
    if unit == "s":
        for name, seconds in (("weeks", 604800), ("days", 86400), ("hours", 3600), ("min", 60)):
            if value >= seconds:
                return f"{value / seconds:.3g} {name}"
        return f"{value:.3g} s" if value >= 1 or value == 0 else f"{value * 1000:.3g} ms"
    endings = {"Bps": " B/s", "reqps": " req/s", "ops": " ops/s"}
    for name, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {name}{endings.get(unit, '').strip()}"
    return f"{value:.3g}{endings.get(unit, '')}"
