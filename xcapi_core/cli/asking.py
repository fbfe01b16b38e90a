"""Questions on the terminal, and what to do where nobody is there to answer."""

import sys

import click

__all__ = ["asked", "confirmed"]


def confirmed(question: str) -> bool:
    """Ask y/N on the terminal; where nobody can answer, end the command with the word that answers for them."""
    click.echo(f"{question} [y/N] ", nl=False, err=True)
    answer = sys.stdin.readline()
    if not answer:
        click.echo(err=True)
        raise click.UsageError("Nobody is there to answer: give --yes to go on without asking.")
    return answer.strip().lower() in ("y", "yes")


def asked(question: str, *, otherwise: str, is_hidden: bool = False) -> str:
    """Ask for a value; where nobody can answer, end the command with what to do `otherwise`."""
    try:
        return str(click.prompt(question, err=True, hide_input=is_hidden)).strip()
    except click.Abort as abort:  # Ctrl-C, or the end of the input
        if isinstance(abort.__context__, EOFError):
            click.echo(err=True)
            raise click.UsageError(f"Nobody is there to answer: {otherwise}.") from None
        raise
