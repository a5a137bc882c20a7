"""Decides which addresses may be asked on behalf of somebody else: public ones, and what an operator allows.

A server that calls whatever address it is told reaches what only it can: itself, its neighbours, pods of others,
the metadata service of its cloud. Whoever connects asks about the very address that it then connects to, for a
name may lead elsewhere a moment later. Nothing is resolved here.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from msgspec import Struct

_RELAYS: Final = ip_network("192.88.99.0/24")
"""Hands on to IPv6 through whoever says that he can."""
_TRANSLATED: Final = ip_network("64:ff9b::/96")
"""IPv4 as a network of IPv6 alone sees it; the last 32 bits are the address."""

_OF_CLOUDS: Final = (ip_network("168.63.129.16/32"), ip_network("192.0.0.0/24"))
"""What looks public, and is where a cloud's own services answer its machines alone: Azure's, and Oracle's once."""


class AllowedAddresses(Struct, frozen=True, kw_only=True):
    """The addresses that are allowed beside all public ones, and those that never are."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    hosts: frozenset[str] = frozenset()
    never: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def of(cls, allowed: Iterable[str] = (), never: Iterable[str] = ()) -> AllowedAddresses:
        """Read a list of addresses, networks (``10.1.0.0/16``) and names of hosts; ``never`` has no names.

        Raises:
            ValueError: what looks like an address is none, or a network's host bits are not zero.
        """
        networks, hosts = [], set()
        for text in allowed:
            if _is_name(text):
                hosts.add(_named(text))
            else:
                networks.append(ip_network(text))
        return cls(networks=tuple(networks), hosts=frozenset(hosts), never=tuple(ip_network(one) for one in never))

    def allows(self, address: str, host: str = "", *, is_own: bool = False) -> bool:
        """Say whether an address may be asked; ``host`` is the name that led to it, if there was one.

        One that this machine itself has (``is_own``) is not public: what is sent there passes no firewall.

        Raises:
            ValueError: it is no address.
        """
        meant = _meant(ip_address(address))
        if any(meant in network for network in self.never):
            return False
        if _named(host) in self.hosts or any(meant in network for network in self.networks):
            return True
        return _is_public(meant) and not is_own


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and address.is_site_local:
        return False
    if any(address in network for network in (_RELAYS, *_OF_CLOUDS)):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _meant(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Give the IPv4 address that an IPv6 one stands for."""
    if isinstance(address, IPv6Address):
        if address in _TRANSLATED:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _named(host: str) -> str:
    return host.lower().rstrip(".")


def _is_name(text: str) -> bool:
    """Say whether it names a host: an address has a colon, a slash or a number at its end."""
    last = text.rstrip(".").rpartition(".")[2]
    return bool(last) and not (last.isdigit() or ":" in text or "/" in text)
