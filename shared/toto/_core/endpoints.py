"""Addresses of the sockets between gateways and workers: ``ipc://PATH`` and ``tcp://HOST:PORT``."""

import ipaddress
import os
import re
from dataclasses import dataclass

__all__ = ["Endpoint", "parse_endpoint"]

_TCP = re.compile(r"tcp://(\[[0-9A-Fa-f:.]+\]|[^\s\[\]:;/]+):([0-9]{1,5}|\*)")
_SOCKET_PATH_BYTES_MAX = 107  # the kernel's sun_path, less the final zero


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address.

    Args:
        path: the socket file of an ipc address, else empty.
        host: the name or number of a tcp address, without brackets, else empty.
        port: the port of a tcp address, else 0.
    """

    path: str = ""
    host: str = ""
    port: int = 0

    @property
    def is_private(self) -> bool:
        """Whether no other host can reach it."""
        if self.path or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_endpoint(address: str) -> Endpoint:
    """Read an address.

    Args:
        address: ``ipc://PATH`` or ``tcp://HOST:PORT``.

    Raises:
        ValueError: it is neither; the text completes "it must ...".
    """
    if address.startswith("ipc://"):
        path = address.removeprefix("ipc://")
        if path in ("", "*"):
            raise ValueError("name a socket file: ipc://PATH")
        if len(os.fsencode(path)) > _SOCKET_PATH_BYTES_MAX:
            raise ValueError(f"have a path of at most {_SOCKET_PATH_BYTES_MAX} bytes")
        return Endpoint(path=path)
    if not address.startswith("tcp://"):
        raise ValueError("begin with ipc:// or tcp://")
    match = _TCP.fullmatch(address)
    if match is None:
        raise ValueError("be of the form tcp://HOST:PORT, with an IPv6 host in brackets")
    if match[2] == "*" or not 1 <= int(match[2]) <= 65535:
        raise ValueError("have a port from 1 to 65535, known to both sides")
    return Endpoint(host=match[1].strip("[]"), port=int(match[2]))
