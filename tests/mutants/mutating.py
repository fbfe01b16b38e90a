"""A module's mutants, by Cosmic Ray's operators; it has to be on `sys.path`."""

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Mutant", "mutants_of"]

# Identity of small integers and of short texts is CPython's affair, not ours.
_NO_MISTAKE = ("_Is", "_IsNot")
_LEFT_OUT = frozenset({"VariableReplacer", "VariableInserter"})  # these want arguments
# Of each arithmetic operator the one that is taken for it. The ten others (`<<` for `+`) die of a TypeError, and would
# only make the figures look better.
_ARITHMETIC = frozenset(
    f"ReplaceBinaryOperator_{pair}"
    for pair in (
        "Add_Sub",
        "Sub_Add",
        "Mul_Div",
        "Div_Mul",
        "FloorDiv_Mul",
        "Mod_Mul",
        "Pow_Mul",
        "BitOr_BitAnd",
        "BitAnd_BitOr",
        "BitXor_BitOr",
        "LShift_RShift",
        "RShift_LShift",
    )
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of a module: its line before and after, and the whole source with it."""

    line: int
    before: str
    after: str
    source: str = ""


def mutants_of(source: str) -> list[Mutant]:
    """Return every mutant that can be compiled, outside of annotations, texts and hints to the collector, each once."""
    untouched = _without_effect(source)
    found: dict[str, Mutant] = {}
    for position, changed in _changes(source):
        if position in untouched or changed in found:
            continue
        try:
            compile(changed, "mutant", "exec")
        except (SyntaxError, ValueError):
            continue
        found[changed] = _described(source, changed)
    return sorted(found.values(), key=lambda mutant: (mutant.line, mutant.after))


def _changes(source: str) -> Iterator[tuple[tuple[int, int], str]]:
    from cosmic_ray.ast import ast_nodes, get_ast  # type: ignore[import-not-found]  # noqa: PLC0415 - see above
    from cosmic_ray.operators.provider import OperatorProvider  # type: ignore[import-not-found]  # noqa: PLC0415

    provider = OperatorProvider()
    whole = list(ast_nodes(get_ast(source)))
    for name in provider:
        if name in _LEFT_OUT or (name.endswith(_NO_MISTAKE) and "_Is_" not in name and "_IsNot_" not in name):
            continue
        if name.startswith("ReplaceBinaryOperator") and name not in _ARITHMETIC:
            continue
        operator: Any = provider[name]()
        places = [
            (number, index, start)
            for number, node in enumerate(whole)
            for index, (start, _) in enumerate(operator.mutation_positions(node))
        ]
        for number, index, start in places:
            tree = get_ast(source)
            node = next(node for count, node in enumerate(ast_nodes(tree)) if count == number)
            try:
                changed = operator.mutate(node, index)
            except AttributeError:  # its replacement of exceptions knows single names alone, no `except json.X:`
                continue
            mutated = _with(tree, node, changed)
            if mutated.count("/,") == source.count("/,"):  # `*,` in a signature is no multiplication
                yield start, mutated


def _with(tree: Any, old: Any, new: Any) -> str:
    """Return the source of a tree in which `new` stands in place of `old`; nothing, where that is None."""
    if new is not old:
        siblings = old.parent.children
        at = next(at for at, child in enumerate(siblings) if child is old)
        siblings[at : at + 1] = [] if new is None else [new]
    return str(tree.get_code())


def _without_effect(source: str) -> set[tuple[int, int]]:
    """Return the positions inside of annotations (nothing runs there, or the module does not load) and of `gc=…`.

    Whether the collector looks at a struct changes how long that takes, and nothing else.
    """
    positions: set[tuple[int, int]] = set()
    for node in ast.walk(ast.parse(source)):
        parts: list[object] = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.ClassDef):
            parts += [keyword.value for keyword in node.keywords if keyword.arg == "gc"]
        for part in parts:
            for inner in ast.walk(part) if isinstance(part, ast.AST) else ():
                if isinstance(inner, ast.expr):
                    # An operator stands between its operands: all of the line's columns in the annotation count.
                    last = inner.end_col_offset or 0
                    positions.update((inner.lineno, column) for column in range(inner.col_offset, last))
    return positions


def _described(source: str, changed: str) -> Mutant:
    old, new = source.splitlines(), changed.splitlines()
    for tag, from_line, to_line, from_new, to_new in difflib.SequenceMatcher(
        a=old, b=new, autojunk=False
    ).get_opcodes():
        if tag != "equal":
            before = " ".join(line.strip() for line in old[from_line:to_line])
            after = " ".join(line.strip() for line in new[from_new:to_new])
            return Mutant(from_line + 1, before, after, changed)
    raise AssertionError("a mutant that is none")
