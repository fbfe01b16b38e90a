"""`make bench` works: its table, its JSON, its page. Never how fast anything is."""

import base64
import io
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from tests.benchmarks.catalogue import DETAILS, ROWS
from tests.benchmarks.report.document import BEGIN, END, write_document
from tests.benchmarks.report.plots import svg
from tests.benchmarks.report.terminal import Terminal
from tests.benchmarks.results import Plot, Result, Table
from tests.benchmarks.workload import delivery_pieces, sale
from xcapi_core.sandbox.services.checkout import repository_root

PLOT = Plot(name="growth", title="cost <by> size", x_title="size", y_title="µs", x=("1", "10", "100"), y=(30, 20.5, 12))
RESULT = Result(
    what="events a second",
    goal="≥ 10",
    measured="7",
    ratio="0.7",
    verdict="missed",
    figures={"events_per_s": 7},
    tables=[Table(title="By size", columns=("size", "µs"), rows=[("1", "30"), ("10|11", "20")], note="A note.")],
    plots=[PLOT],
)
MACHINE = {"cores": "2", "Python": "3.11"}


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *arguments],
        cwd=repository_root(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_row_gives_table_json_and_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n\n{BEGIN}\nold figures\n{END}\n\nAfter.\n", encoding="utf-8")
    run = bench("packed", "--quick", "--details", "--json", str(tmp_path / "bench.json"), "--page", str(page))
    assert run.returncode == 0, run.stderr
    assert "goal ≥ 0.25 of the floor" in run.stdout
    assert "of the floor" in run.stdout
    assert "\x1b" not in run.stdout, "no colours in a pipe"
    written = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert written["results"][0]["figures"]["events_per_s"] > 0
    assert set(written["machine"]) == {"processor", "cores", "system", "Python"}
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Before\n")
    assert text.endswith("\n\nAfter.\n")
    assert "| events in packed messages" in text
    assert "old figures" not in text


def test_list_names_every_row_and_help_shows_examples() -> None:
    listed = [line.split()[0] for line in bench("--list").stdout.splitlines()]
    assert listed == [*ROWS, *DETAILS]
    assert 'make bench ARGS="--quick"' in bench("--help").stdout


def test_unknown_row_is_refused_with_the_names_there_are() -> None:
    run = bench("pakced")
    assert run.returncode == 2
    assert "packed" in run.stderr


def test_page_holds_table_details_and_plots_and_a_second_run_replaces_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}{END}", encoding="utf-8")
    write_document(page, [RESULT, RESULT], MACHINE)
    write_document(page, [RESULT], MACHINE)
    text = page.read_text(encoding="utf-8")
    assert "| events a second | ≥ 10 | 7 | 0.7 | ✘ missed |" in text
    assert "| 10\\|11 | 20 |" in text
    assert text.count("### By size") == 1
    assert "![cost <by> size](img/bench-growth.svg)" in text
    assert (tmp_path / "img" / "bench-growth.svg").exists()


def test_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no markers", encoding="utf-8")
    with pytest.raises(ValueError, match="lacks the markers"):
        write_document(page, [RESULT], MACHINE)
    assert page.read_text(encoding="utf-8") == "no markers"


def test_plot_is_well_formed_and_draws_larger_values_higher() -> None:
    drawn = ET.fromstring(svg(PLOT))  # noqa: S314 - our own
    line = drawn.find("{http://www.w3.org/2000/svg}polyline")
    assert line is not None
    heights = [float(point.split(",")[1]) for point in line.attrib["points"].split()]
    assert heights == sorted(heights)
    assert len(set(heights)) == len(PLOT.y)


def test_plot_of_zeros_can_be_drawn() -> None:
    flat = Plot(name="n", title="t", x_title="x", y_title="y", x=("1",), y=(0,))
    assert ET.fromstring(svg(flat)) is not None  # noqa: S314 - our own


def test_terminal_gets_a_table_with_missed_goals_in_red() -> None:
    console = Console(force_terminal=True, color_system="standard", record=True, width=200, file=io.StringIO())
    Terminal(console).summary([RESULT])
    shown = console.export_text(styles=True)
    assert "\x1b[1;31mmissed" in shown
    assert "make bench" in shown


def test_load_generator_bodies_are_good_deliveries_once_numbered() -> None:
    lines = delivery_pieces(sale).splitlines()
    number = "000000000042"
    in_base64 = "MDAwMDAwMDAwMDQy"  # base64 of the same, by `printf 000000000042 | base64`
    body = lines[0][1:] + "".join((in_base64 if line[0] == "b" else number) + line[1:] for line in lines[1:])
    message = json.loads(body)["message"]
    assert message["messageId"] == number
    assert json.loads(base64.b64decode(message["data"])) == sale(42)
