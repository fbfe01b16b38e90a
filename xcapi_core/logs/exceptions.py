"""Formats an exception by its types and places, never by its text, which may quote an event, a key or X's answer."""

import traceback
from collections.abc import Iterator

__all__ = ["format_exception"]

_MOST_FRAMES = 20
_MOST_EXCEPTIONS = 8
_LONGEST_TRACE = 3_000  # characters
_CAUSE = "The above exception was the direct cause of the following exception:"
_CONTEXT = "During handling of the above exception, another exception occurred:"


def format_exception(error: BaseException) -> str:
    """Return a traceback in Python's form, which Error Reporting reads, without the texts and the lines of code.

    Causes come first, as Python has it. Of a group, the members' types are told.
    """
    chain: list[tuple[str, BaseException]] = []
    seen: set[int] = set()
    current: BaseException | None = error
    link = ""
    while current is not None and id(current) not in seen and len(chain) < _MOST_EXCEPTIONS:
        seen.add(id(current))
        chain.append((link, current))
        if current.__cause__ is not None:
            link, current = _CAUSE, current.__cause__
        elif current.__suppress_context__:
            current = None
        else:
            link, current = _CONTEXT, current.__context__
    blocks = []
    for link_to_next, exception in reversed(chain):
        blocks.append("\n".join(_lines(exception)))
        if link_to_next:
            blocks.append(link_to_next)
    while len(blocks) > 1 and sum(map(len, blocks)) > _LONGEST_TRACE:
        del blocks[0]  # the cause that is furthest away
    return "\n\n".join(blocks)


def _lines(error: BaseException) -> Iterator[str]:
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    if frames:
        yield "Traceback (most recent call last):"
    if len(frames) > _MOST_FRAMES:
        yield f"  [{len(frames) - _MOST_FRAMES} outer calls left out]"
    for code, line in frames[-_MOST_FRAMES:]:
        yield f'  File "{code.co_filename}", line {line}, in {code.co_qualname}'
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    members = ""
    if isinstance(error, BaseExceptionGroup):
        members = " of " + ", ".join(sorted({type(member).__qualname__ for member in error.exceptions}))
    yield f"{name}: text withheld{members}"
