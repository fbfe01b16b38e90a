"""What the documents promise, held to the code."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_architecture import FILES, deployed_modules

ROOT = Path(__file__).resolve().parent.parent
OPERATIONS = ROOT / "docs" / "operations.md"

_EVENT_NAME = re.compile(r"[a-z_]+\.[a-z_]+")
_LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]*))?\)")


def table_column(heading: str) -> list[str]:
    """Return the code words of the first column of the first table under a heading of the operations page."""
    section = OPERATIONS.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    first_cells = re.findall(r"(?m)^\| ([^|]*) \|", section)
    return [word for cell in first_cells for word in re.findall(r"`([^`]+)`", cell)]


def deployed_calls() -> Iterator[ast.Call]:
    for module in deployed_modules():
        tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
        yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


OUTBOXES = ("dead_letters", "remainder")  # whose names begin their log events


def emitted_events() -> set[str]:
    """Return every event name that stands in a call of `emit` or is written by the log capture."""
    found: set[str] = set()
    for call in deployed_calls():
        if ast.unparse(call.func).rpartition(".")[2].startswith("emit"):
            texts = [node.value for node in ast.walk(call) if isinstance(node, ast.Constant)]
            found.update(text for text in texts if isinstance(text, str) and _EVENT_NAME.fullmatch(text))
            ends = [text for text in texts if isinstance(text, str) and re.fullmatch(r"\.[a-z]+", text)]
            found.update(name + end for name in OUTBOXES for end in ends)
    return found


def test_every_log_event_has_its_row_in_the_operations_page() -> None:
    assert len(emitted_events()) > 15
    rows = table_column("Log events")
    assert emitted_events() <= set(rows)
    assert len(rows) == len(set(rows))


def test_every_cause_of_a_nack_has_its_row() -> None:
    causes = {
        keyword.value.value
        for call in deployed_calls()
        if ast.unparse(call.func) == "Deferred"
        for keyword in call.keywords
        if keyword.arg == "cause" and isinstance(keyword.value, ast.Constant)
    }
    assert len(causes) > 5
    assert causes <= set(table_column("Causes of a nack"))


def _anchor(heading: str) -> str:
    """Write a heading as GitHub does in links to it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "terraform" / "README.md"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for file, anchor in _LINK.findall(document.read_text(encoding="utf-8")):
        target = (document.parent / file).resolve() if file else document
        assert target.exists(), file
        if anchor:
            text = target.read_text(encoding="utf-8")
            headings = {_anchor(heading) for heading in re.findall(r"(?m)^#+ (.*)$", text)}
            assert anchor in headings | set(re.findall(r'<a id="([^"]+)">', text)), anchor


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_targets_named_in_the_documents_exist(document: Path) -> None:
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    named = set(re.findall(r"(?m)(?:`|^)make ([a-z]+)", document.read_text(encoding="utf-8")))
    assert named <= targets


# A file or folder of the repository, as the documents name it: from the root, within the package or beside the page.
_PATH = re.compile(r"`([\w.-]+(?:/[\w.*-]+)*/?)`")
_FILE_ENDINGS = (".css", ".html", ".in", ".jsonl", ".lua", ".md", ".py", ".sh", ".tf", ".toml", ".tpl", ".txt", "/")
# A user's own, another project's, and what a command writes.
_NOT_OF_THE_REPOSITORY = frozenset({"main.tf", "fork_support.md", ".cache/fuzz/"})


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_named_in_the_documents_exist(document: Path) -> None:
    named = {path for path in _PATH.findall(document.read_text(encoding="utf-8")) if path.endswith(_FILE_ENDINGS)}
    folders = (ROOT, ROOT / "xcapi_core", document.parent)
    missing = {path for path in named if not any(list(folder.glob(path.rstrip("/"))) for folder in folders)}
    assert missing <= _NOT_OF_THE_REPOSITORY


def test_modules_named_in_the_layout_exist() -> None:
    layout = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## The layout")[2].partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| `(xcapi_core/\w+)/`[^|]*\|([^|]*)\|", layout)
    named = {ROOT / folder / f"{word}.py" for folder, text in rows for word in re.findall(r"`([a-z_0-9]+)`", text)}
    assert len(named) > 15
    assert not [path for path in named if not path.exists()]


def test_every_decision_is_in_the_list_of_decisions() -> None:
    folder = ROOT / "docs" / "adr"
    listed = re.findall(r"(?m)^\| \[[0-9]{4}\]\(([^)]+)\)", (folder / "README.md").read_text(encoding="utf-8"))
    assert listed == sorted(path.name for path in folder.glob("[0-9]*.md"))


def test_what_the_pages_have_one_write_into_a_checkout_stays_out_of_git() -> None:
    pages = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("cloudshell.md", "deploy.md"))
    written = set(re.findall(r"(?:--data-file=|cat > |output -raw config > )([\w.-]+)", pages)) - {"-"}
    assert {"keys.json", "keys-o8z6j.json", "pixels.auto.tfvars"} <= written
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", *sorted(written)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert set(ignored.stdout.split()) == written
