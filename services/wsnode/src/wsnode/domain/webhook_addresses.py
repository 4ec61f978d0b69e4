"""Where webhooks may not go: addresses that belong to the machine, the link or the platform, not to a receiver."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

METADATA = frozenset(
    ipaddress.ip_address(text) for text in ("169.254.169.254", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")
)
"""Where cloud machines are told their secrets."""

TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv6 addresses that a gateway turns into the IPv4 address in their last 32 bits."""


def literal(host: str) -> Address | None:
    """The host as an address; None when it is a name."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def problem_with(address: Address, host: str, allowed: Collection[Network]) -> str | None:
    """Why `host`, which is or stands for this address, may not be told anything; None when it may.

    Loopback is for receivers that say so themselves: a name that leads there may be anybody's. Private networks are
    fine, since receivers usually are in one. `allowed` wins over everything.
    """
    if any(address in network for network in allowed):
        return None
    address = _inner(address)
    if address in METADATA or address.is_link_local:
        what = "a link-local or metadata address"
    elif address.is_loopback:
        if host == "localhost" or literal(host) is not None:
            return None
        what = "this machine, by another name than localhost"
    elif address.is_multicast or address.is_unspecified or address.is_reserved:
        what = "no address of a single machine"
    else:
        return None
    return f"{host} is {address}, {what}; WEBHOOK_ALLOW can allow it"


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
