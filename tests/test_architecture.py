"""The direction of imports, and what a module may do and must say, read off the source.

An import inside a function counts like one at the top of a module.
"""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "xcapi_core"

UNDEPLOYED_FOLDERS = ("cli", "sandbox")  # .gcloudignore leaves them out, and `python -m xcapi_core`
UNDEPLOYED = (*(f"xcapi_core.{folder}" for folder in UNDEPLOYED_FOLDERS), "xcapi_core.__main__")
# These do I/O. Everything else in the package is the pure core.
WITH_IO = ("xcapi_core.adapters", *UNDEPLOYED)

CORE_MAY_IMPORT = {
    "msgspec",  # decoding bytes is a function of its arguments
    "phonenumbers",  # as is parsing a number
}
IO_OF_THE_STANDARD_LIBRARY = {"ftplib", "http.client", "multiprocessing", "shutil", "smtplib", "socket", "socketserver"}
IO_OF_THE_STANDARD_LIBRARY |= {"sqlite3", "ssl", "subprocess", "tempfile", "urllib.request", "webbrowser"}

# Builds the adapters and hands them to the core; nothing else in the core knows them.
WIRING = {"main", "xcapi_core.service"}

# In the order in which a delivery passes: each may import those below it, and of its own line only itself.
LAYERS = (
    {"main"},
    {"xcapi_core.service"},
    {"xcapi_core.adapters", "xcapi_core.watchdog"},
    {"xcapi_core.deliveries"},
    {"xcapi_core.events", "xcapi_core.x_api"},
    {"xcapi_core.origins"},
    {"xcapi_core.ledger", "xcapi_core.outcomes", "xcapi_core.pubsub"},
    {"xcapi_core.conversions", "xcapi_core.settings"},
    {"xcapi_core.logs", "xcapi_core.problems", "xcapi_core.records"},
    {"xcapi_core"},
)

# What the sandbox and the local services share with the function that they are to judge: words for a problem, no rule.
JUDGES_MAY_IMPORT = {"xcapi_core", "xcapi_core.problems"}


def _source_files() -> Iterator[tuple[str, Path]]:
    yield "main", ROOT / "main.py"
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def test_gcloudignore_leaves_out_what_is_not_deployed() -> None:
    left_out = (ROOT / ".gcloudignore").read_text(encoding="utf-8").splitlines()
    assert set(left_out) >= {f"/xcapi_core/{folder}/" for folder in UNDEPLOYED_FOLDERS} | {"/xcapi_core/__main__.py"}


FILES = dict(_source_files())
CORE = sorted(name for name in FILES if name.startswith("xcapi_core") and not name.startswith((*WITH_IO, *WIRING)))


def _is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(tree):
        if not _is_for_types_only(child):
            yield child
            yield from _nodes(child)


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


@cache
def imports_of(module: str) -> frozenset[str]:
    """Return the full names of what a module imports, submodules told from plain names."""
    found: set[str] = set()
    for node in _nodes(_tree(module)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import hides where it goes"
            base = node.module or ""
            found.update(f"{base}.{alias.name}" if f"{base}.{alias.name}" in FILES else base for alias in node.names)
    return frozenset(found)


def deployed_modules() -> set[str]:
    """Return `main` and whatever of the package it reaches."""
    reached: set[str] = set()
    waiting = ["main"]
    while waiting:
        module = waiting.pop()
        if module in reached:
            continue
        reached.add(module)
        waiting += [name for name in imports_of(module) if name in FILES]
        waiting += [module.rpartition(".")[0]] if "." in module else []  # a package's own module comes along
    return reached


def _third_party(names: frozenset[str]) -> set[str]:
    tops = {name.partition(".")[0] for name in names}
    return tops - set(sys.stdlib_module_names) - {"xcapi_core"}


def test_the_import_graph_is_not_empty() -> None:
    assert {"main", "xcapi_core.outcomes", "xcapi_core.adapters.x_session"} <= deployed_modules()
    assert "requests" in _third_party(imports_of("xcapi_core.adapters.x_session"))
    assert len(CORE) > 10


@pytest.mark.parametrize("module", CORE)
def test_core_imports_no_client_and_no_framework(module: str) -> None:
    assert _third_party(imports_of(module)) <= CORE_MAY_IMPORT
    assert not imports_of(module) & IO_OF_THE_STANDARD_LIBRARY


@pytest.mark.parametrize("module", CORE)
def test_core_does_not_import_what_does_io(module: str) -> None:
    assert not [name for name in imports_of(module) if name.startswith(WITH_IO)]


def _layer_of(module: str) -> tuple[int, str]:
    package = ".".join(module.split(".")[:2])
    return next((depth, package) for depth, names in enumerate(LAYERS) if package in names)


@pytest.mark.parametrize("module", sorted(FILES))
def test_imports_point_down_the_path_of_a_delivery(module: str) -> None:
    if module.startswith(UNDEPLOYED):
        return
    depth, package = _layer_of(module)
    for name in imports_of(module) & set(FILES):
        below, imported = _layer_of(name)
        assert below > depth or imported == package, f"{module} imports {name}"


def test_function_reaches_nothing_that_is_not_deployed() -> None:
    reached = {module: imports_of(module) for module in deployed_modules()}
    strays = {module: name for module, names in reached.items() for name in names if name.startswith(UNDEPLOYED)}
    assert not strays


def test_sandbox_shares_no_rule_with_the_function_it_judges() -> None:
    sandbox = "xcapi_core.sandbox"
    shared = {
        (module, name)
        for module in FILES
        if module.startswith(sandbox)
        for name in imports_of(module)
        if name in FILES and not name.startswith(sandbox)
    }
    assert {name for _, name in shared} <= JUDGES_MAY_IMPORT, shared


def test_every_core_module_is_reached_by_the_function() -> None:
    # What only tests and tools use is no part of the function; cli/ is the place for the latter.
    assert set(CORE) <= deployed_modules()


def _names_defined_in(module: str) -> Iterator[str]:
    for node in _tree(module).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name) and target.id != "__all__")


# One module a dialect: they are read side by side, and what does the same in each has the same name.
DIALECTS = ("xcapi_core.events.x", "xcapi_core.events.ga4", "xcapi_core.events.segment")


def test_no_two_functions_classes_or_constants_of_the_core_have_one_name() -> None:
    places: dict[str, list[str]] = {}
    for module in sorted({*CORE, *(name for name in FILES if name.startswith("xcapi_core.adapters"))}):
        for name in _names_defined_in(module):
            places.setdefault(name, []).append("a dialect" if module in DIALECTS else module)
    assert len(places) > 500
    assert not {name: modules for name, modules in places.items() if len(set(modules)) > 1}


def _at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield what runs when the module is imported: everything but the bodies of functions and lambdas."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += [*node.decorator_list, *node.args.defaults, *(one for one in node.args.kw_defaults if one)]
        elif not isinstance(node, ast.Lambda) and not _is_main_guard(node):
            waiting += ast.iter_child_nodes(node)


def _is_main_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


_WORK = {"open", "os.getenv", "time.time", "time.monotonic", "datetime.now", "threading.Thread", "threading.Timer"}
_WORK_OF_ANY = (".read_text", ".read_bytes", ".start", ".connect")
_HARMLESS = ("os.register_at_fork(",)  # where the worker's fork needs it: it runs in the worker only


@pytest.mark.parametrize("module", sorted(set(FILES) - {"main"}))
def test_nothing_happens_at_import(module: str) -> None:
    called = [ast.unparse(node.func) for node in _at_import(_tree(module)) if isinstance(node, ast.Call)]
    assert not [
        name for name in called if name in _WORK or name.startswith("os.environ") or name.endswith(_WORK_OF_ANY)
    ]
    looked_up = [ast.unparse(node.value) for node in _at_import(_tree(module)) if isinstance(node, ast.Subscript)]
    assert "os.environ" not in looked_up
    bare = [ast.unparse(node) for node in _tree(module).body if isinstance(node, ast.Expr)]
    work = [statement for statement in bare if not statement.startswith(("'", '"', *_HARMLESS))]
    assert not work, "a bare call at the top of a module is work at import"


@pytest.mark.parametrize("module", sorted(FILES))
def test_every_module_says_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(_tree(module))


# Runs in a process of its own with every connection, process and thread watched. (urllib3 binds a socket once, to see
# whether there is IPv6.)
_WATCHED_IMPORT = """
import importlib, sys, threading
seen = []
sys.addaudithook(lambda event, _: seen.append(event) if event in {
    "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.fork", "os.posix_spawn",
} else None)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(sorted(set(seen)), threading.active_count())
"""


def test_importing_the_whole_package_connects_nowhere_and_starts_nothing() -> None:
    modules = [name for name in FILES if name != "main" and not name.endswith("__main__")]
    run = subprocess.run(
        [sys.executable, "-c", _WATCHED_IMPORT, *modules], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[] 1"


@pytest.mark.parametrize("module", sorted(set(FILES) - {"main"}))
def test_every_module_says_what_is_public(module: str) -> None:
    path = FILES[module]
    if path.name in {"__init__.py", "__main__.py"} and "__all__" not in path.read_text(encoding="utf-8"):
        assert not [node for node in _tree(module).body if isinstance(node, ast.ClassDef)]
        return
    assigned = [
        ast.literal_eval(node.value)
        for node in _tree(module).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    assert len(assigned) == 1, "one __all__"
    defined = {
        name.id
        for node in _tree(module).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for name in ast.walk(node)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }
    defined |= {node.name for node in _tree(module).body if hasattr(node, "name")}
    defined |= {
        alias.asname or alias.name
        for node in _tree(module).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(assigned[0]) <= defined


_START = """
import sys
import main
heavy = {"google.cloud.secretmanager_v1", "google.pubsub_v1", "phonenumbers"}
print(*sorted(heavy & set(sys.modules)), file=sys.__stdout__, flush=True)
"""
_SECRETS = "projects/p/secrets/s/versions/latest"


@pytest.mark.parametrize(("keys", "imported"), [("env:X_KEYS", ""), (_SECRETS, "google.cloud.secretmanager_v1")])
def test_a_start_does_not_wait_for_what_its_first_event_may_not_need(keys: str, imported: str) -> None:
    document = {
        "dead_letter_topic": "projects/p/topics/dead-letters",
        "pixels": {"o8z6j": {"credentials": keys}},
        "default_phone_region": "GB",
    }
    run = subprocess.run(
        [sys.executable, "-c", _START],
        cwd=ROOT,
        env={**os.environ, "XCAPI_CONFIG": json.dumps(document)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == imported
