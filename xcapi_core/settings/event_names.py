"""When two event names mean the same."""

__all__ = ["normalise_event_name"]

_NAME_SEPARATORS = str.maketrans({" ": "_", "-": "_"})


def normalise_event_name(name: str) -> str:
    """Return the form in which event names are compared: without case, outer space, and with `_` for space and `-`."""
    return name.strip().casefold().translate(_NAME_SEPARATORS)
