"""Who may use the console and the control routes: programs of this machine, and the console's own page.

A page of another site that the developer has open could send requests to loopback, or rebind its name to 127.0.0.1.
The Host header tells the second, the Origin header and Fetch Metadata the first.
"""

import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

__all__ = ["SECURITY_HEADERS", "Handler", "refusal", "same_origin_only"]

Handler = Callable[[Request], Awaitable[Response]]

SECURITY_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # No inline script or style, nothing from elsewhere; with trusted types, no text ever becomes HTML.
        "content-security-policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'; trusted-types 'none'"
        ),
        "cache-control": "no-store",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }
)


def same_origin_only(handler: Handler) -> Handler:
    """Return the handler behind the checks: 403 with the reason where they fail, security headers on every answer."""

    @wraps(handler)
    async def guarded(request: Request) -> Response:
        reason = refusal(request)
        answer = await handler(request) if reason is None else PlainTextResponse(f"{reason}\n", 403)
        for name, value in SECURITY_HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer

    return guarded


def refusal(request: Request) -> str | None:
    """Return why a request may not reach the console, or None where it may."""
    if request.client is None or not _is_loopback(request.client.host):
        return "The console and its routes answer programs of this machine only."
    hosts = request.headers.getlist("host")
    if len(hosts) != 1 or not _names_loopback(hosts[0]):
        return "The Host header names another machine: open the console at http://127.0.0.1 and its port."
    origins = request.headers.getlist("origin")
    if origins and origins != [f"{request.url.scheme}://{hosts[0]}"]:
        return "The Origin header names another site: only the console's own page may do this."
    site = request.headers.get("sec-fetch-site", "none")
    followed_a_link = request.method == "GET" and request.headers.get("sec-fetch-mode") == "navigate"
    if site not in ("none", "same-origin") and not followed_a_link:
        return "The request comes from a page of another site."
    return None


def _names_loopback(host: str) -> bool:
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname, parts.port
    except ValueError:
        return False
    is_plain = parts.netloc == host and "@" not in host and not (parts.path or parts.query or parts.fragment)
    return is_plain and name is not None and (name == "localhost" or _is_loopback(name))


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback
