"""IP addresses: which one of what proxies and servers write is the buyer's, and whether X can match by it."""

import re
from ipaddress import IPv4Network, IPv6Address
from typing import Final

from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import cut_invisible

__all__ = ["read_ip_address"]

_OCTET: Final = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4: Final = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}", re.ASCII)
# An address with a port; IPv6 is in brackets then.
_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)(?:%\w+)?\](?::[0-9]{0,5})?|([0-9.]+):[0-9]{0,5}", re.ASCII)
_AROUND: Final = " \t\"'`"

# What IANA's special-purpose registry calls not globally reachable, multicast and reserved space. The documentation
# blocks (RFC 5737, RFC 3849) are left in: they are nobody's, and every example is written with them. Not `is_private`:
# it caches its addresses, which are personal.
_NOT_PUBLIC: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "224.0.0.0/3",
        ),
    )
)


def _ranges_by_first_octet() -> dict[str, list[tuple[int, int]]]:
    """Return what is not public, as first and last address, by the first octet: most octets have none."""
    ranges: dict[str, list[tuple[int, int]]] = {}
    for network in _NOT_PUBLIC:
        low, high = int(network.network_address), int(network.broadcast_address)
        for octet in range(low >> 24, (high >> 24) + 1):
            ranges.setdefault(str(octet), []).append((low, high))
    return ranges


_NOT_PUBLIC_BY_FIRST_OCTET: Final = _ranges_by_first_octet()
# Global unicast addresses (IANA's IPv6 address space), and what of them is no client's: protocol assignments with
# Teredo, 6to4. By their first 32 bits, first and last.
_GLOBAL_IPV6: Final = (0x2000_0000, 0x3FFF_FFFF)
_NOT_PUBLIC_IPV6: Final = (
    (0x2001_0000, 0x2001_01FF),
    (0x2002_0000, 0x2002_FFFF),
)


def read_ip_address(text: str, passed_over: list[Drop] | None = None) -> str | Drop:
    """Return a public IPv4 address in dotted decimal, X's only form.

    Of a list, as `X-Forwarded-For` is one, the first public address is the client's: where that is IPv6, there is none,
    as a later one is a proxy's. An IPv4 address mapped into IPv6 is one. A port and quotes are left out. Why
    addresses in front of it are none of the client's is added to `passed_over`.
    """
    if (octets := _IPV4.fullmatch(text)) is not None:
        return Drop.PRIVATE_IP_ADDRESS if _is_private(octets) else text
    end = Drop.INVALID_IP_ADDRESS
    for part in text.split(","):
        address = _address_in(part)
        if isinstance(address, IPv6Address):
            end = Drop.IPV6_ADDRESS
            if _is_public(address):
                return end
        elif address is not None:
            if not _is_private(address):
                if passed_over is not None and end is not Drop.INVALID_IP_ADDRESS:
                    passed_over.append(end)
                return address[0]
            end = Drop.PRIVATE_IP_ADDRESS
    return end


def _address_in(part: str) -> re.Match[str] | IPv6Address | None:
    """Return the IPv4 address of a list's element as its octets, or its IPv6 address; None where it has neither."""
    text = cut_invisible(part).strip(_AROUND)
    if (found := _WITH_PORT.fullmatch(text)) is not None:
        text = found[1] or found[2]
    if (octets := _IPV4.fullmatch(text)) is not None:
        return octets
    try:
        address = IPv6Address(text.partition("%")[0])  # without the zone of a link-local address
    except ValueError:
        return None
    return address if address.ipv4_mapped is None else _IPV4.fullmatch(str(address.ipv4_mapped))


def _is_public(address: IPv6Address) -> bool:
    first = int(address) >> 96
    return _GLOBAL_IPV6[0] <= first <= _GLOBAL_IPV6[1] and not any(
        low <= first <= high for low, high in _NOT_PUBLIC_IPV6
    )


def _is_private(octets: re.Match[str]) -> bool:
    ranges = _NOT_PUBLIC_BY_FIRST_OCTET.get(octets[1])
    if ranges is None:
        return False
    first, second, third, fourth = map(int, octets.groups())
    number = first << 24 | second << 16 | third << 8 | fourth
    return any(low <= number <= high for low, high in ranges)
