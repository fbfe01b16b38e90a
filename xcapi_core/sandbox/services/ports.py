"""Ports on loopback."""

import secrets
import socket
from typing import Final

from xcapi_core.sandbox.services.errors import LocalServiceError

__all__ = ["LOOPBACK", "free_port", "is_free", "require_free"]

LOOPBACK = "127.0.0.1"
# Below what Linux (from 32768 on) and macOS (from 49152 on) hand out by themselves, so that no connection and no
# server that asked for any port takes one between this choice and its use.
_CHOICE: Final = range(10_000, 32_000)


def free_port() -> int:
    """Return a port that nobody listened on a moment ago; another process may still take it before its use."""
    while True:
        port = secrets.choice(_CHOICE)  # not `random`, which a property test seeds
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port


def is_free(port: int) -> bool:
    """Tell whether `port` on loopback can be listened on."""
    return _why_taken(port) is None


def require_free(port: int, component: str) -> None:
    """Raise LocalServiceError when `port` on loopback cannot be listened on."""
    if why := _why_taken(port):
        raise LocalServiceError(
            f"Port {port} for {component} cannot be used ({why}): "
            "choose another or stop the program that listens there."
        )


def _why_taken(port: int) -> str | None:
    with socket.socket() as probe:
        # As servers do: a port whose last connections still linger is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            return str(error.strerror)
    return None
