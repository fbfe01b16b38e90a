"""A plot as SVG: one line over named points.

Written here, because every plotting library brings more packages than one polyline is worth. Points are evenly spaced
whatever their names: 1, 10, 100 read as on a logarithmic axis. The vertical axis begins at zero: flat looks flat.
"""

import math
from html import escape

from tests.benchmarks.results import Plot

__all__ = ["svg"]

_WIDTH, _HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 40, 60
_GRID_LINES = 5
_MOST_X_NAMES = 12
_INK, _GRID, _LINE = "#57606a", "#d0d7de", "#0969da"  # legible on white, and on the dark theme's white card


def svg(plot: Plot) -> str:
    """Return the file's text."""
    top = _round_up(max(plot.y, default=0) or 1)
    inner_width, inner_height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(index: int) -> float:
        return _LEFT + inner_width * (index + 0.5) / len(plot.x)

    def height(value: float) -> float:
        return _TOP + inner_height * (1 - value / top)

    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img"',
        f'  font-family="sans-serif" fill="{_INK}">',
        f"<title>{escape(plot.title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(_WIDTH / 2, 20, plot.title, "middle", size=14),
        _text(_WIDTH / 2, _HEIGHT - 12, plot.x_title, "middle"),
        _text(_LEFT - 8, _TOP - 12, plot.y_title, "end"),
    ]
    for number in range(_GRID_LINES + 1):
        value = top * number / _GRID_LINES
        y = height(value)
        drawn.append(
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="{_GRID}" stroke-width="1"/>'
        )
        drawn.append(_text(_LEFT - 8, y + 4, f"{value:,.4g}", "end"))
    every = math.ceil(len(plot.x) / _MOST_X_NAMES)
    drawn += [
        _text(place(index), _HEIGHT - _BOTTOM + 18, name, "middle")
        for index, name in enumerate(plot.x)
        if index % every == 0
    ]
    points = [(place(index), height(value)) for index, value in enumerate(plot.y)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    drawn.append(f'<polyline points="{path}" fill="none" stroke="{_LINE}" stroke-width="2"/>')
    if every == 1:
        drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_LINE}"/>' for x, y in points]
    return "\n".join([*drawn, "</svg>", ""])


def _text(x: float, y: float, words: str, anchor: str, *, size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 2.5, 5, 10 times a power of ten."""
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value)
