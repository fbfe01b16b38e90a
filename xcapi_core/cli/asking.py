"""Questions before something that cannot be undone."""

import sys

import click

__all__ = ["confirmed"]


def confirmed(question: str) -> bool:
    """Ask y/N on the terminal; where nobody can answer, end the command with the word that answers for them."""
    click.echo(f"{question} [y/N] ", nl=False, err=True)
    try:
        answer = sys.stdin.readline()
    except (AttributeError, ValueError):  # standard input is closed
        answer = ""
    if not answer:
        click.echo(err=True)
        raise click.UsageError("Nobody is there to answer: give --yes to go on without asking.")
    return answer.strip().lower() in ("y", "yes")
