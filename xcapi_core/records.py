"""Immutable structs whose repr shows allow-listed fields only.

Values whose fields may all be shown are plain frozen `msgspec.Struct`s. Neither are dataclasses: writing and compiling
the methods of one takes a third of a millisecond, of forty of them a twentieth of the start.
"""

from typing import Any, ClassVar

import msgspec

__all__ = ["Record"]


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A frozen value whose `repr` shows only the fields that `_shown` names: none, unless a subclass says so.

    Making one takes a tenth of a frozen dataclass's time, which counts where a message holds 20,000 of them. Without
    `gc` the collector does not walk them either: a record holds no container that could lead back to it.
    """

    _shown: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        """Return the type and the allow-listed fields."""
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)
        return f"{type(self).__name__}({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Give pretty printers the same fields."""
        return [(name, getattr(self, name)) for name in self._shown]
