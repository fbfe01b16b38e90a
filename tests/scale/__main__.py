"""`python -m tests.scale`: see its --help."""

import json
import sys
from dataclasses import asdict

import click

from tests.scale.accounts import Plan
from tests.scale.simulation import Outcome, simulate
from xcapi_core.sandbox.services.errors import LocalServiceError
from xcapi_core.sandbox.services.processes import leaving_on_signals

_INTERRUPTED = 130


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    epilog="Exit code: 0 when nothing is wrong, 1 when something is (with what), 2 for wrong usage.",
)
@click.option("--events", type=click.IntRange(min=1), default=500_000, help="The backlog.")
@click.option("--processes", type=click.IntRange(1, 100), default=10, help="Instances of the function.")
@click.option("--pixels", type=click.IntRange(1, 1_000), default=1_000)
@click.option("--accounts", type=click.IntRange(1, 1_000), default=200, help="Ad accounts that the pixels belong to.")
@click.option(
    "--budget", type=click.IntRange(min=1), default=1_000, help="Events that X takes for an account a window."
)
@click.option("--window", type=click.FloatRange(min=2), default=120.0, help="Seconds of a window; X's has 900.")
@click.option("--events-per-message", type=click.IntRange(1, 10_000), default=100)
@click.option(
    "--share",
    type=click.IntRange(min=1),
    default=None,
    help="`rate.events` of each pixel and instance.  [default: the budget by instances and pixels of an account]",
)
@click.option(
    "--max-backoff",
    type=click.IntRange(min=1),
    default=None,
    help="Seconds; the subscription's longest wait after a nack.  [default: a sixth of the window]",
)
@click.option("--every", type=click.FloatRange(min=1), default=20.0, help="Seconds until an instance ends or begins.")
@click.option("--give-up", type=click.FloatRange(min=1), default=1_800.0, help="Seconds after which the run failed.")
@click.option("--json", "json_output", is_flag=True, help="Print one JSON document and nothing else.")
def scale(
    *,
    events: int,
    processes: int,
    pixels: int,
    accounts: int,
    budget: int,
    window: float,
    events_per_message: int,
    share: int | None,
    max_backoff: int | None,
    every: float,
    give_up: float,
    json_output: bool,
) -> None:
    """Drain a backlog with many instances of the real function, for many pixels of many ad accounts.

    The instances stand behind a balancer that removes and adds some all the time; X, played by the sandbox in a
    process of its own, has a budget for each ad account. At the end every event has to be at X, none twice but for a
    cause that was seen, and no account above its budget.
    """
    if accounts > pixels:
        raise click.BadParameter("an account has at least one pixel.", param_hint="--accounts")
    pixels_each = -(-pixels // accounts)
    plan = Plan(
        events=events,
        processes=processes,
        pixels=pixels,
        accounts=accounts,
        budget=budget,
        window_s=window,
        events_per_message=events_per_message,
        share=share or max(1, budget // (processes * pixels_each)),
        max_backoff_s=max_backoff or max(1, round(window / 6)),
    )

    def progress(waiting: int, instances: int) -> None:
        click.echo(f"{waiting:,} messages wait, {instances} instances", err=True)

    try:
        with leaving_on_signals():
            outcome = simulate(plan, every_s=every, give_up_after_s=give_up, progress=progress)
    except LocalServiceError as error:
        raise click.ClickException(str(error)) from error
    except TimeoutError as error:
        raise click.ClickException(f"Given up: {error}.") from error
    except KeyboardInterrupt:
        click.echo("Stopped; everything that was started has ended.", err=True)
        sys.exit(_INTERRUPTED)
    problems = outcome.problems(plan)
    if json_output:
        click.echo(json.dumps({"plan": asdict(plan), "outcome": asdict(outcome), "problems": problems}, indent=1))
    else:
        click.echo(_table(plan, outcome))
        for problem in problems:
            click.echo(f"wrong: {problem}")
    sys.exit(1 if problems else 0)


def _table(plan: Plan, outcome: Outcome) -> str:
    rows = {
        "events, pixels, ad accounts": f"{plan.events:,}, {plan.pixels:,}, {plan.accounts:,}",
        "X's budget of an account": f"{plan.budget:,} in {plan.window_s:g} s; {plan.share:,} a pixel and instance",
        "instances": f"{plan.processes}; {outcome.instances_added} added, {outcome.instances_removed} removed",
        "never reached X": f"{outcome.lost:,}",
        "dead letters": f"{outcome.dead_letters:,}",
        "taken twice": f"{outcome.doubles:,}; no answer heard of {outcome.may_double:,}",
        "most in a window of an account": f"{outcome.most_in_a_window:,}",
        "requests to X": f"{outcome.requests:,}, {outcome.refused_for_budget:,} refused for the budget",
        "pushes, remainders": f"{outcome.pushes:,}, {outcome.remainders:,}; back-off up to {plan.max_backoff_s} s",
        "until X had the last": f"{outcome.seconds:.0f} s; the budgets permit {outcome.at_best_s:.0f} s",
        "events a second": f"{plan.events / outcome.seconds:,.0f}",
    }
    if outcome.memory_mb:
        rows["memory of an instance"] = (
            f"{outcome.memory_mb[0]:.0f} MB at the start, {outcome.memory_mb[1]:.0f} MB at the end"
        )
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


if __name__ == "__main__":
    scale()
