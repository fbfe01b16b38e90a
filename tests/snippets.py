"""The documents' code blocks, and the commands in those of a shell."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "Snippet", "commands_in", "snippets"]

ROOT = Path(__file__).resolve().parent.parent
_FENCED = re.compile(r"^(?P<indent> *)```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^ *```$", re.DOTALL | re.MULTILINE)
_HERE_DOCUMENT = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?(.*?\n).*?^\s*\1$", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"(^|\s)# .*$", re.MULTILINE)
_ASSIGNMENT = re.compile(r"\w+=.*", re.DOTALL)
_BETWEEN_COMMANDS = set("();|&\n")
_BEFORE_A_COMMAND = {"do", "then", "else", "if", "while", "!", "exec", "sudo"}


@dataclass(frozen=True, slots=True)
class Snippet:
    """One fenced block; `line` is where its text begins in the page."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def snippets(language: str) -> list[Snippet]:
    """Find every block of a language, in all pages."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("terraform/**/*.md")]
    return [
        snippet
        for page in sorted(pages)
        if ".terraform" not in page.parts
        for snippet in _blocks(str(page.relative_to(ROOT)), page.read_text(encoding="utf-8"))
        if snippet.language == language
    ]


def _blocks(page: str, text: str) -> Iterator[Snippet]:
    for block in _FENCED.finditer(text):
        lines = (line.removeprefix(block["indent"]) for line in block["text"].splitlines(keepends=True))
        yield Snippet(page, text.count("\n", 0, block.start("text")) + 1, block["language"], "".join(lines))


def commands_in(shell: str) -> Iterator[list[str]]:
    """Yield each command's words, quotes resolved; here-documents, redirections and assignments are left out."""
    text = _COMMENT.sub("", _HERE_DOCUMENT.sub(r"\2", shell)).replace("\\\n", " ")
    lexer = shlex.shlex(text, posix=True, punctuation_chars="();<>|&\n")
    lexer.wordchars += "@"
    lexer.whitespace = " \t"
    lexer.commenters = ""
    words: list[str] = []
    for word in lexer:
        ends = bool(word) and set(word) <= _BETWEEN_COMMANDS
        if ends:
            if words:
                yield words
            words = []
        elif words or not (_ASSIGNMENT.fullmatch(word) or word in _BEFORE_A_COMMAND or word == "$"):
            words.append(word)
    if words:
        yield words
