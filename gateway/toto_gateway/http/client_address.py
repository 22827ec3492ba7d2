"""Whose address a request comes from, when proxies that are trusted stand between. No I/O."""

import ipaddress
from collections.abc import Sequence

__all__ = ["ClientAddress"]

_HEADER_LENGTH_MAX = 2048
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ClientAddress:
    """Reads ``X-Forwarded-For``, from trusted peers only: everybody can write that header.

    Args:
        trusted_proxies: addresses or networks, such as ``10.0.0.0/8``.

    Raises:
        ValueError: one of them is neither.
    """

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        self._networks: tuple[_Network, ...] = tuple(
            ipaddress.ip_network(proxy) for proxy in trusted_proxies
        )

    def of(self, peer: str, forwarded_for: str) -> str:
        """Return the address of the client.

        Args:
            peer: the other end of the connection.
            forwarded_for: the header's value: each proxy appends who called it, so the last
                address that is not itself a trusted proxy's is the client's.
        """
        if not self._networks or len(forwarded_for) > _HEADER_LENGTH_MAX:
            return peer
        address = peer
        for hop in reversed(forwarded_for.split(",")):
            if not self._is_trusted(address):
                break
            candidate = hop.strip()
            if _parsed(candidate) is None:
                break
            address = candidate
        return address

    def _is_trusted(self, address: str) -> bool:
        parsed = _parsed(address)
        return parsed is not None and any(parsed in network for network in self._networks)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    # A socket for both families shows IPv4 peers so.
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed
