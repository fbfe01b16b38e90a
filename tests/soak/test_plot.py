"""A chart is well-formed, and its points are where they belong."""

import xml.etree.ElementTree as ET

import pytest

from tests.soak.plot import Chart, Line, svg
from tests.soak.timeline import Band

SVG = "{http://www.w3.org/2000/svg}"


def test_chart_holds_its_line_its_incidents_and_names() -> None:
    chart = Chart(
        title="Memory & more",
        unit="MB",
        lines=[Line("PSS <both>", [(0.0, 0.0), (50.0, 100.0), (100.0, 50.0)])],
        bands=[Band("X is down", 10.0, 20.0), Band("kill -9", 60.0, 60.0)],
    )
    root = ET.fromstring(svg(chart))  # noqa: S314 - our own text
    texts = "|".join("".join(text.itertext()) for text in root.iter(f"{SVG}text"))
    for name in ("Memory & more", "PSS <both>", "1 X is down", "2 kill -9", "seconds", "MB"):
        assert name in texts
    (line,) = root.iter(f"{SVG}polyline")
    points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    lowest, highest, middle = (y for _, y in points)
    assert highest < middle < lowest, "a larger value stands higher"
    assert middle == pytest.approx((lowest + highest) / 2, abs=0.2)


@pytest.mark.parametrize("points", [[], [(0.0, 0.0)]])
def test_chart_of_nothing_is_a_chart(points: list[tuple[float, float]]) -> None:
    ET.fromstring(svg(Chart(title="t", unit="s", lines=[Line("l", points)])))  # noqa: S314 - as above
