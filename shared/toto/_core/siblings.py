"""Endpoints of the gateway processes of one command: how they are numbered and dialled."""

from toto._core.endpoints import parse_endpoint

__all__ = ["process_endpoint", "sibling_endpoint"]

_ANY_HOST = ("0.0.0.0", "::", "*")  # noqa: S104  # recognised here, not bound


def process_endpoint(address: str, index: int) -> str:
    """Return the endpoint of the gateway process ``index``.

    The first has the address as configured; the others follow on the next ports, or in socket files
    with ``-1``, ``-2`` behind the name.
    """
    if index == 0:
        return address
    endpoint = parse_endpoint(address)
    if endpoint.path:
        return f"ipc://{endpoint.path}-{index}"
    return f"{address.rpartition(':')[0]}:{endpoint.port + index}"


def sibling_endpoint(address: str, *, dialled: str) -> str:
    """Return how to dial ``address``, named by a gateway that was itself reached as ``dialled``.

    A gateway bound to all interfaces does not know by which name its workers reach it.
    """
    endpoint = parse_endpoint(address)
    if endpoint.host not in _ANY_HOST:
        return address
    return f"{dialled.rpartition(':')[0]}:{endpoint.port}"
