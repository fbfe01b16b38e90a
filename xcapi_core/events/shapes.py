"""The shape of an object: which of the fields that matter it has.

Events of one publisher have the same keys. What there is to look at among the dozens of names that the conveniences
allow is worked out once a shape, and every further event of it is read by the names that it has.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

__all__ = ["Shapes", "present"]

_Shape = TypeVar("_Shape")

# Publishers have a handful of shapes. Beyond these limits a shape is worked out anew each time, so that nobody can
# fill the memory with keys.
_MOST_SHAPES = 256
_MOST_KEYS = 64
_MOST_CHARACTERS = 2_000


def present(names: Sequence[str], keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of `names` that are among `keys`, in the order of `names`: their order of precedence."""
    return tuple(name for name in names if name in keys)


class Shapes(Generic[_Shape]):
    """Remembers what was worked out from objects' keys."""

    def __init__(self, work_out: Callable[[tuple[str, ...]], _Shape]) -> None:
        self._work_out = work_out
        self._known: dict[tuple[str, ...], _Shape] = {}

    def of(self, fields: Mapping[str, object]) -> _Shape:
        """Return what the keys of this object, in their order, were worked out to."""
        keys = tuple(fields)
        shape = self._known.get(keys)
        if shape is None:
            shape = self._work_out(keys)
            if len(keys) <= _MOST_KEYS and sum(map(len, keys)) <= _MOST_CHARACTERS:
                if len(self._known) >= _MOST_SHAPES:
                    self._known.clear()
                self._known[keys] = shape
        return shape
