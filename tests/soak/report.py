"""The end of a soak for people (tables), for scripts (one JSON document) and for the eye (plots)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.soak.account import Account
from tests.soak.mix import RATE_EVENTS, RATE_WINDOW_S, MixReport
from tests.soak.plot import Chart, Line, svg

__all__ = ["as_json", "plot", "show"]

Rows = Sequence[tuple[str, str]]


def show(report: MixReport, console: Console) -> None:
    """Print the account, how it went, and the verdict."""
    account = report.account
    print_table(console, "The account, in events", _account_rows(account))
    print_table(console, "Delivered or dead-lettered twice, and why", _counted(account.causes) or [("none", "")])
    print_table(console, "How it went", _course_rows(report))
    print_verdict(console, account.problems, "The account balances.")


def print_table(console: Console, title: str, rows: Iterable[tuple[str, str]]) -> None:
    """Print two columns, without trailing blanks where nobody watches."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE, show_header=False)
    table.add_column(overflow="fold")
    table.add_column(justify="right", overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(value))
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        console.file.write(line.rstrip() + "\n")
    console.file.flush()


def print_verdict(console: Console, problems: Sequence[str], good: str) -> None:
    """Print what is wrong, or that nothing is."""
    if not problems:
        console.print(Text(good, style="bold green"))
        return
    console.print(Text("Something is wrong:", style="bold red"))
    for problem in problems:
        console.print(Text(f"  {problem}", style="red"), soft_wrap=True)


def as_json(report: MixReport) -> Mapping[str, object]:
    """Return the report as a JSON object."""
    account = report.account
    return {
        "ok": account.balances,
        "problems": list(account.problems),
        "seed": report.seed,
        "through": report.through,
        "seconds": round(report.seconds, 1),
        "messages": account.messages,
        "published": account.published,
        "delivered": account.delivered,
        "dead_lettered": dict(account.dead_lettered),
        "skipped": account.skipped,
        "waiting": account.waiting,
        "lost": account.lost,
        "repetitions": dict(account.causes),
        "repeated_events": [
            {"message": one.event[0], "event_index": one.event[1], "what": one.what, "cause": one.cause}
            for one in account.repetitions
        ],
        "requests_into_a_closed_gate": sum(not one.forgiven for one in account.early),
        "requests_of_a_new_instance_into_a_closed_gate": sum(one.forgiven for one in account.early),
        "budget": {"events": RATE_EVENTS, "window_s": RATE_WINDOW_S},
        "fullest_window": {one.pixel_id: one.of_one_instance for one in account.peaks},
        "fullest_window_over_restarts": {one.pixel_id: one.in_all for one in account.peaks},
        "longest_wait_s": round(max(report.waits_s, default=0.0), 2),
        "median_wait_s": round(_median(report.waits_s), 2),
        "most_memory_mb": report.timeline.most_memory_mb,
        "answers": report.answers,
        "x_answers": report.x_answers,
        "timeline": [
            [round(one.at, 2), one.memory_mb, round(one.oldest_wait_s, 2), one.events]
            for one in report.timeline.samples
        ],
        "incidents": [[one.name, round(one.begins, 2), round(one.ends, 2)] for one in report.timeline.bands],
    }


def plot(report: MixReport, folder: Path) -> None:
    """Write soak.json, memory.svg and waits.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    document = json.dumps(as_json(report), indent=1, ensure_ascii=False)
    (folder / "soak.json").write_text(document + "\n", encoding="utf-8")
    samples, bands = report.timeline.samples, report.timeline.bands
    memory = Line("both processes, PSS", [(one.at, one.memory_mb) for one in samples if one.memory_mb is not None])
    waits = Line("age of the oldest message that is not acked", [(one.at, one.oldest_wait_s) for one in samples])
    for name, title, unit, line in (
        ("memory", "Memory of the function", "MB", memory),
        ("waits", "Longest wait", "s", waits),
    ):
        chart = Chart(title=title, unit=unit, lines=[line], bands=bands)
        (folder / f"{name}.svg").write_text(svg(chart), encoding="utf-8")


def _account_rows(account: Account) -> Rows:
    letters = account.dead_lettered
    return [
        ("published", f"{account.published:,}"),
        ("= delivered", f"{account.delivered:,}"),
        *((f"+ dead-lettered: {reason}", f"{count:,}") for reason, count in sorted(letters.items())),
        ("+ skipped, without consent", f"{account.skipped:,}"),
        ("+ still waiting", f"{account.waiting:,}"),
        ("+ lost", f"{account.lost:,}"),
    ]


def _course_rows(report: MixReport) -> Rows:
    account = report.account
    memory = report.timeline.most_memory_mb
    return [
        ("messages, through", f"{account.messages:,}, {report.through}"),
        ("seconds, instances", f"{report.seconds:.0f}, {report.restarts + 1}"),
        (
            "a message's wait: median, longest",
            f"{_median(report.waits_s):.1f} s, {max(report.waits_s, default=0):.1f} s",
        ),
        ("memory at most, PSS of both processes", "not known here" if memory is None else f"{memory:.0f} MB"),
        ("requests into a closed gate", f"{sum(not one.forgiven for one in account.early)}"),
        ("… by an instance born after X had named the time", f"{sum(one.forgiven for one in account.early)}"),
        *(
            (
                f"pixel {one.pixel_id}: events in its fullest {RATE_WINDOW_S:g} s, of {RATE_EVENTS:,}",
                f"{one.of_one_instance:,}"
                + (f" ({one.in_all:,} over a restart)" if one.in_all > one.of_one_instance else ""),
            )
            for one in account.peaks
        ),
        *((f"deliveries answered {name}", count) for name, count in _counted(report.answers)),
        *((f"requests that X answered {name}", count) for name, count in _counted(report.x_answers)),
    ]


def _counted(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    return [(name, f"{count:,}") for name, count in sorted(counts.items())]


def _median(sorted_values: Sequence[float]) -> float:
    return sorted_values[len(sorted_values) // 2] if sorted_values else 0.0
