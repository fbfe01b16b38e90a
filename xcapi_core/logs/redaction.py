"""Masks what may be personal or secret in text that others wrote: the server, the framework, the libraries.

Our own lines need none of this, since they hold counts and ids only; it is the net under everything else.
"""

import re

__all__ = ["TracebackFilter", "mask_identifiers", "redact"]

_LONGEST_SEARCHED = 20_000  # characters
_LONGEST_SHOWN = 2_000  # characters; also keeps a line in one piece in a pipe, see lines.py
_LONGEST_BEGIN = 500  # characters of the lines that are kept before a gap
_SHORTEST_HEX = 32  # characters of what is masked as a digest
_GAP = "  [{} lines left out]"

# Each pattern may only begin where a word does: that keeps the search linear in the text's length.
_IDENTIFIERS = (
    (r"""(?<!\w)(oauth_\w+)\\?["']?\s*[=:]\s*\\?["']?[^\s"',;&\\]+""", r"\1=[masked]"),
    (r"(?<![\w.+%-])[\w.+%-]+(?:@|%40)[\w-]+(?:\.[\w-]+)*", "[email]"),
    (r"(?<![0-9A-Za-z])[0-9a-fA-F]{32,}(?![0-9A-Za-z])", "[hex]"),
)
_REST_OF_LINE = (
    (
        r"(?i)(?<![\w-])((?:proxy-)?authorization|(?:set-)?cookie|user[-_]agent|x-pixel-token)(?![\w-]).*",
        r"\1 [masked]",
    ),
    (r"Mozilla/[0-9].*", "[user agent]"),
)
_SCHEMES_AND_QUERIES = (
    (r"(?i)(?<!\w)(bearer|basic)\s+[\w.~+/=-]{8,}", r"\1 [masked]"),
    (r"""\?[\w%.~\[\]-]+=[^\s"'<>)]*""", "?[query]"),
)
_SHAPES = (
    # Loopback and "any" say where the server listens and are nobody's.
    (r"(?<![\w.])(?!127\.0\.0\.1(?![\w.])|0\.0\.0\.0(?![\w.]))[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?!\w)", "[ip]"),
    (r"(?<![\w:])(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}(?![\w:])", "[ip]"),
    (
        r"(?<![\w:])(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6})?::(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6})?(?![\w:])",
        "[ip]",
    ),
    (r"(?<![\w+/=-])(?=[\w+/=-]*[0-9])(?=[\w+/=-]*[A-Z])(?=[\w+/=-]*[a-z])[\w+/=-]{24,}", "[token]"),
    (r"(?<![\w=-])(?=[\w=-]*[0-9])(?=[\w=-]*[A-Za-z])[\w=-]{24,}", "[token]"),
    (r"(?<![\w+])\+[0-9](?:[ ().-]{0,2}[0-9]){6,}(?!\w)", "[phone]"),
    (r"(?<![\w+.-])(?![0-9]{4}-[0-9]{2}-[0-9]{2}(?!\w))[0-9](?:[ .-]?[0-9]){8,}(?!\w)", "[phone]"),
)


def _compiled(*groups: tuple[tuple[str, str], ...]) -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), mask) for group in groups for pattern, mask in group)


_IDENTIFIER_MASKS = _compiled(_IDENTIFIERS)
_ALL_MASKS = _compiled(_REST_OF_LINE, _IDENTIFIERS, _SCHEMES_AND_QUERIES, _SHAPES)
# `name=value`, `"name": "value"`, also with escaped quotes; the name is looked at afterwards.
_NAMED_VALUE = re.compile(r"""(?<![\w-])([\w-]++)(\\?["']?\s*[=:]\s*\\?["']?)[^\s"',;&}\\]+""")
_SECRET_NAME = re.compile(
    r"secret|token|passw|api[_-]?key|consumer_key|twclid|signature|phone|email|\Aip(?:_?addr(?:ess)?)?\Z", re.IGNORECASE
)

_TRACEBACK = "Traceback (most recent call last):"
_FRAME = re.compile(r"""[\s|]*File "[^"]*", line [0-9]+(?:, in .*)?""")
_EXCEPTION = re.compile(r"([A-Za-z_][\w.]*)(?::|\Z)")
_LINKS = ("The above exception was the direct cause", "During handling of the above exception")


class TracebackFilter:
    """Reads text line by line and takes out of tracebacks what they quote: the exceptions' texts and lines of code."""

    def __init__(self) -> None:
        self._in_frames = False
        self._in_text = False

    def keep(self, line: str) -> str | None:
        """Return what may be shown of the next line; None if nothing."""
        if _TRACEBACK in line:
            self._in_frames, self._in_text = True, False
            return line
        if self._in_frames:
            return self._frame_or_exception(line)
        if self._in_text:
            return line if line.startswith(_LINKS) else None
        return line

    def end(self) -> None:
        """Say that a text that an exception brought along, however many lines it had, ends here."""
        self._in_text = False

    def _frame_or_exception(self, line: str) -> str | None:
        if _FRAME.fullmatch(line):
            return line
        if not line or line[0] in " \t|+":
            return None
        self._in_frames, self._in_text = False, True
        exception = _EXCEPTION.match(line)
        return f"{exception[1]}: text withheld" if exception else None


def mask_identifiers(text: str) -> str:
    """Mask e-mail addresses, digests and OAuth parameters: what nothing else looks like."""
    if len(text) < _SHORTEST_HEX and not ("@" in text or "%40" in text or "oauth_" in text):
        return text  # nearly every value of ours
    return _masked(text, _IDENTIFIER_MASKS)


def redact(text: str) -> str:
    """Mask all that may be personal or secret, at the price of masking some that is not; cut to a readable length."""
    if len(text) > _LONGEST_SEARCHED:
        # At a space, so that no half of an address escapes its pattern.
        text = text[:_LONGEST_SEARCHED].rpartition(" ")[0] or f"[text of {len(text)} characters]"
    tracebacks = TracebackFilter()
    lines = (tracebacks.keep(line) for line in text.splitlines())
    shown = "\n".join(line for line in lines if line is not None)
    shown = _masked(_NAMED_VALUE.sub(_mask_named, shown), _ALL_MASKS)
    return shown if len(shown) <= _LONGEST_SHOWN else _shortened(shown)


def _shortened(text: str) -> str:
    """Return the first and the last lines of a long text: a traceback says at its end what happened, and where."""
    begin, *rest = text.splitlines()
    size = len(begin)
    first: list[str] = [begin]
    while rest and size + 1 + len(rest[0]) <= _LONGEST_BEGIN:
        size += 1 + len(rest[0])
        first.append(rest.pop(0))
    last: list[str] = []
    size += len(_GAP.format(len(rest))) + 1
    while rest and size + 1 + len(rest[-1]) <= _LONGEST_SHOWN:
        size += 1 + len(rest[-1])
        last.append(rest.pop())
    if not last:  # one long line
        return text[:_LONGEST_SHOWN] + "…"
    return "\n".join([*first, _GAP.format(len(rest)), *reversed(last)])


def _mask_named(pair: re.Match[str]) -> str:
    return f"{pair[1]}{pair[2]}[masked]" if _SECRET_NAME.search(pair[1]) else pair[0]


def _masked(text: str, masks: tuple[tuple[re.Pattern[str], str], ...]) -> str:
    for pattern, mask in masks:
        text = pattern.sub(mask, text)
    return text
