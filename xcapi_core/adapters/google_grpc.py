"""What the two clients of Google's services have in common. Imports gRPC, so it is imported late."""

import grpc

__all__ = ["local_channel", "status_name"]


def local_channel(host: str) -> grpc.Channel:
    """Open a plain-text channel to the emulator at `host:port`."""
    # Not through a proxy that the environment names: the server is on this machine.
    return grpc.insecure_channel(host, options=[("grpc.enable_http_proxy", 0)])


def status_name(error: Exception) -> str:
    """Return "NOT_FOUND" and the like; the error's own text is not ours to print."""
    code = getattr(error, "grpc_status_code", None)
    return code.name if code is not None else type(error).__name__
