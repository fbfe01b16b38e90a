"""One figure over time as an SVG, by hand: a drawing library brings a dozen dependencies. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from tests.soak.timeline import Band

__all__ = ["Chart", "Line", "svg"]

_WIDTH, _HEIGHT = 820, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 44, 72
_COLOURS = ("#1d6fb8", "#c2491d", "#3f7d2c")
_STEPS = 5


@dataclass(frozen=True, slots=True)
class Line:
    """A named line through points (x, y)."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Lines over seconds from the start, with what happened as grey bands, numbered and named below."""

    title: str
    unit: str
    lines: Sequence[Line]
    bands: Sequence[Band] = field(default=())


def svg(chart: Chart) -> str:
    """Draw it."""
    points = [point for line in chart.lines for point in line.points]
    x_step, x_max = _scale(max((x for x, _ in points), default=1.0))
    y_step, y_max = _scale(max((y for _, y in points), default=1.0))
    rows = math.ceil(len(chart.bands) / 2)
    height = _HEIGHT + 16 * rows
    floor = _HEIGHT - _BOTTOM

    def x_at(seconds: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * seconds / x_max

    def y_at(value: float) -> float:
        return floor - (floor - _TOP) * value / y_max

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" style="font: 12px sans-serif">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="20" font-size="14" font-weight="bold">{escape(chart.title)}</text>',
    ]
    for number, band in enumerate(chart.bands, start=1):
        left, width = x_at(band.begins), max(2.0, x_at(band.ends) - x_at(band.begins))
        parts.append(f'<rect x="{left:.1f}" y="{_TOP}" width="{width:.1f}" height="{floor - _TOP}" fill="#e4e4e4"/>')
        parts.append(f'<text x="{left + width / 2:.1f}" y="{_TOP - 4}" text-anchor="middle">{number}</text>')
        column, row = divmod(number - 1, rows)
        parts.append(
            f'<text x="{_LEFT + column * 380}" y="{_HEIGHT - 8 + 16 * row}" fill="#555555">{number} '
            f"{escape(band.name)}</text>"
        )
    for step in range(_STEPS + 1):
        x, y = x_at(step * x_step), y_at(step * y_step)
        if step * y_step <= y_max:
            parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#cccccc"/>')
            parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{step * y_step:g}</text>')
        if step * x_step <= x_max:
            parts.append(f'<text x="{x:.1f}" y="{floor + 16}" text-anchor="middle">{step * x_step:g}</text>')
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{floor + 32}" text-anchor="end">seconds</text>')
    parts.append(f'<text x="{_LEFT - 6}" y="{_TOP - 8}" text-anchor="end">{escape(chart.unit)}</text>')
    for line, colour in zip(chart.lines, _COLOURS, strict=False):
        path = " ".join(f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in line.points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    legend = "".join(
        f'<tspan fill="{colour}" dx="14">{escape(line.name)}</tspan>'
        for line, colour in zip(chart.lines, _COLOURS, strict=False)
    )
    parts += [f'<text x="{_LEFT - 14}" y="{floor + 32}">{legend}</text>', "</svg>"]
    return "\n".join(parts) + "\n"


def _scale(largest: float) -> tuple[float, float]:
    """Return a round step and the axis's end: five steps of 1, 2, 2.5 or 5 times a power of ten."""
    rough = max(largest, 1e-9) / _STEPS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in (1.0, 2.0, 2.5, 5.0, 10.0) if nice * power >= rough)
    return step, step * _STEPS
