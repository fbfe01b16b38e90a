"""Ask whether something on loopback answers yet."""

import http.client

from xcapi_core.sandbox.services.ports import LOOPBACK

__all__ = ["answers_ok"]


def answers_ok(port: int) -> bool:
    """Say whether `GET /` on loopback's `port` is answered 200."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
