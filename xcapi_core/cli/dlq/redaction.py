"""Masks what looks personal or secret in text that is to be shown: events that cannot be read, X's words."""

import re

from xcapi_core.cli.foreign_text import ADDRESS, LONG_HEX

__all__ = ["redact"]

_LONGEST_SEARCHED = 20_000  # characters
_LONGEST_SHOWN = 2_000  # characters

# Each pattern may only begin where a word does, as those of foreign_text.
_IDENTIFIERS = (
    (r"""(?<!\w)(oauth_\w+)\\?["']?\s*[=:]\s*\\?["']?[^\s"',;&\\]+""", r"\1=[masked]"),
    (ADDRESS, "[email]"),
    (LONG_HEX, "[hex]"),
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


_MASKS = _compiled(_REST_OF_LINE, _IDENTIFIERS, _SCHEMES_AND_QUERIES, _SHAPES)
# `name=value`, `"name": "value"`, also with escaped quotes; the name is looked at afterwards.
_NAMED_VALUE = re.compile(r"""(?<![\w-])([\w-]++)(\\?["']?\s*[=:]\s*\\?["']?)[^\s"',;&}\\]+""")
_SECRET_NAME = re.compile(
    r"secret|token|passw|api[_-]?key|consumer_key|twclid|signature|phone|email|\Aip(?:_?addr(?:ess)?)?\Z", re.IGNORECASE
)


def redact(text: str) -> str:
    """Mask all that may be personal or secret, at the price of masking some that is not; cut to a readable length."""
    if len(text) > _LONGEST_SEARCHED:
        # At a space, so that no half of an address escapes its pattern.
        text = text[:_LONGEST_SEARCHED].rpartition(" ")[0] or f"[text of {len(text)} characters]"
    text = _NAMED_VALUE.sub(_mask_named, text)
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _mask_named(pair: re.Match[str]) -> str:
    return f"{pair[1]}{pair[2]}[masked]" if _SECRET_NAME.search(pair[1]) else pair[0]
