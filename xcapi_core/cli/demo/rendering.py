"""The report for people (tables) and for scripts (one JSON document)."""

import json
import re
from collections.abc import Mapping

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from xcapi_core.cli.demo.performance import Example, Report

__all__ = ["as_json", "show"]

_BESIDE_FROM_COLUMNS = 110
_DIGEST = re.compile(r'"([0-9a-f]{8})[0-9a-f]{56}"')
_STYLES = {"delivered": "green", "dead-lettered": "yellow", "skipped": "cyan", "missing": "bold red"}


def show(report: Report, console: Console) -> None:
    """Print where every event ended, one message beside its request, the figures and the verdict."""
    if console.is_terminal:
        _show(report, console)
        return
    # Tables pad their cells; in a file, or a diff of two, trailing blanks are a nuisance.
    with console.capture() as capture:
        _show(report, console)
    for line in capture.get().splitlines():
        console.file.write(line.rstrip() + "\n")
    console.file.flush()


def _show(report: Report, console: Console) -> None:
    console.print()
    console.print(_ends(report))
    if report.example is not None:
        console.print()
        console.print(_beside(report.example, console))
    console.print()
    for line in (*_figures(report), *report.notes):
        console.print(line, markup=False, highlight=False)
    if report.problems:
        console.print(Text("Not every event ended where it should:", style="bold red"))
        for problem in report.problems:
            console.print(Text(f"  {problem}", style="red"))
    else:
        console.print(Text("Every event ended where it should.", style="bold green"))


def as_json(report: Report) -> str:
    """Return the report as one JSON document."""
    document = {
        "ok": not report.problems,
        "problems": report.problems,
        "pubsub": report.pubsub,
        "notes": report.notes,
        "events": report.events,
        "requests": report.requests,
        "requests_per_event": _per_event(report.requests, report.events),
        "secret_reads": report.secret_reads,
        "seconds": round(report.seconds, 2),
        "acts": [
            {
                "title": act.title,
                "events": act.events,
                "settled": act.settled,
                "requests": act.requests,
                "answers": {str(status): count for status, count in sorted(act.answers.items())},
                "seconds": round(act.seconds, 2),
                "ends": [
                    {"events": group.count, "end": group.end, "why": group.why}
                    for group in report.account.groups
                    if group.act == act.title
                ],
            }
            for act in report.acts
        ],
        "example": report.example
        and {
            "message": report.example.message.decode(),
            "request": {
                "line": report.example.request_line,
                "headers": dict(report.example.headers),
                "body": {"conversions": [report.example.conversion]},
            },
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _ends(report: Report) -> RenderableType:
    """Make the table: a heading for each act, below it a row for each way to end. Fits 80 columns."""
    parts: list[RenderableType] = [Text("Where every event ended, and why", style="bold")]
    for number, act in enumerate(report.acts, start=1):
        requests = f"{act.requests} request{'' if act.requests == 1 else 's'}"
        parts.append(
            Text.assemble(
                f"\n{number:2}  ",
                (act.title, "bold"),
                (f"   {requests}, {_per_event(act.requests, act.events):.3g} per event", "dim"),
            )
        )
        rows = Table.grid(padding=(0, 2))
        rows.add_column(justify="right", min_width=9)
        rows.add_column(no_wrap=True, min_width=13)
        rows.add_column(overflow="fold")
        for group in report.account.groups:
            if group.act == act.title:
                rows.add_row(f"{group.count:,}", Text(group.end, style=_STYLES.get(group.end, "")), Text(group.why))
        parts.append(rows)
    return Group(*parts)


def _figures(report: Report) -> list[str]:
    per_event = f"{_per_event(report.requests, report.events):.3g} requests per event"
    return [
        f"{report.events:,} events in {report.requests} requests: {per_event}.",
        f"Through {report.pubsub} in {report.seconds:.0f} s; Secret Manager was asked {report.secret_reads} times.",
    ]


def _per_event(requests: int, events: int) -> float:
    return round(requests / events, 4) if events else 0.0


def _beside(example: Example, console: Console) -> RenderableType:
    message = Panel(
        Text(_pretty(json.loads(example.message))), title="one Pub/Sub message", title_align="left", box=box.SQUARE
    )
    request = Panel(Text(_request(example)), title="the signed request it became", title_align="left", box=box.SQUARE)
    if console.width < _BESIDE_FROM_COLUMNS:
        return Group(message, request)
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=5)
    grid.add_column(ratio=6)
    grid.add_row(message, request)
    return grid


def _request(example: Example) -> str:
    headers = "\n".join(f"{name}: {_folded(value)}" for name, value in example.headers.items())
    return f"{example.request_line}\n{headers}\n\n{_pretty({'conversions': [example.conversion]})}"


def _folded(value: str) -> str:
    """Break an Authorization header after each parameter, to be read."""
    return value.replace(", ", ",\n    ") if value.startswith("OAuth ") else value


def _pretty(value: Mapping[str, object]) -> str:
    """Write JSON to be read: digests are cut short."""
    return _DIGEST.sub(r'"\1…"', json.dumps(value, indent=2, ensure_ascii=False))
