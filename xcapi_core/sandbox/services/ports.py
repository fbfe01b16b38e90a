"""Ports on loopback."""

import socket

from xcapi_core.sandbox.services.errors import LocalServiceError

__all__ = ["LOOPBACK", "free_port", "require_free"]

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a port that nobody listened on a moment ago; another process may still take it before its use."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, component: str) -> None:
    """Raise LocalServiceError when `port` on loopback cannot be listened on."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections still linger is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise LocalServiceError(
                f"Port {port} for {component} cannot be used ({error.strerror}): "
                "choose another or stop the program that listens there."
            ) from error
