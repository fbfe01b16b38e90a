"""What the two clients of Google's services have in common. Imports gRPC, so it is imported late."""

from typing import Final

import grpc

__all__ = ["local_channel", "status_name"]

_OPTIONS: Final = (
    # What the clients' own channels have: an answer to a pull may have more than gRPC's 4 MB.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Not through a proxy that the environment names: the server is on this machine.
    ("grpc.enable_http_proxy", 0),
)


def local_channel(host: str) -> grpc.Channel:
    """Open a plain-text channel to the emulator at `host:port`."""
    return grpc.insecure_channel(host, options=_OPTIONS)


def status_name(error: Exception) -> str:
    """Return "NOT_FOUND" and the like; the error's own text is not ours to print."""
    code = getattr(error, "grpc_status_code", None)
    return code.name if code is not None else type(error).__name__
