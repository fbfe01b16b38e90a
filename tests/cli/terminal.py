"""What a program shows on a terminal of its own."""

import os

__all__ = ["shown_until_the_end"]


def shown_until_the_end(ours: int) -> bytes:
    """Read a terminal from our side until nobody holds the other one, and close it."""
    shown = b""
    try:
        while part := os.read(ours, 65_536):
            shown += part
    except OSError:  # Linux: the other side has closed
        pass
    finally:
        os.close(ours)
    return shown
