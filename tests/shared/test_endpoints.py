"""Addresses of the sockets between gateways and workers."""

import pytest

from toto._core.endpoints import Endpoint, parse_endpoint


@pytest.mark.parametrize(
    ("address", "expected", "is_private"),
    [
        ("ipc:///run/toto/w.sock", Endpoint(path="/run/toto/w.sock"), True),
        ("ipc://w.sock", Endpoint(path="w.sock"), True),
        ("tcp://127.0.0.1:5555", Endpoint(host="127.0.0.1", port=5555), True),
        ("tcp://127.9.0.1:1", Endpoint(host="127.9.0.1", port=1), True),
        ("tcp://localhost:5555", Endpoint(host="localhost", port=5555), True),
        ("tcp://[::1]:5555", Endpoint(host="::1", port=5555), True),
        ("tcp://[::]:5555", Endpoint(host="::", port=5555), False),
        ("tcp://0.0.0.0:5555", Endpoint(host="0.0.0.0", port=5555), False),  # noqa: S104
        ("tcp://*:65535", Endpoint(host="*", port=65535), False),
        ("tcp://gateway.example:5555", Endpoint(host="gateway.example", port=5555), False),
    ],
)
def test_endpoint(address: str, expected: Endpoint, is_private: bool) -> None:
    """An address gives its parts, and whether other hosts can reach it."""
    endpoint = parse_endpoint(address)

    assert endpoint == expected
    assert endpoint.is_private == is_private


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("", "begin with ipc:// or tcp://"),
        ("127.0.0.1:5555", "begin with ipc:// or tcp://"),
        ("inproc://x", "begin with ipc:// or tcp://"),
        ("ipc://", "name a socket file: ipc://PATH"),
        ("ipc://*", "name a socket file: ipc://PATH"),
        ("ipc:///" + "é" * 54, "have a path of at most 107 bytes"),
        ("tcp://", "be of the form tcp://HOST:PORT, with an IPv6 host in brackets"),
        ("tcp://gw1", "be of the form tcp://HOST:PORT, with an IPv6 host in brackets"),
        ("tcp://gw1:http", "be of the form tcp://HOST:PORT, with an IPv6 host in brackets"),
        ("tcp://::1:5555", "be of the form tcp://HOST:PORT, with an IPv6 host in brackets"),
        ("tcp://g w:5555", "be of the form tcp://HOST:PORT, with an IPv6 host in brackets"),
        ("tcp://gw1:*", "have a port from 1 to 65535, known to both sides"),
        ("tcp://gw1:0", "have a port from 1 to 65535, known to both sides"),
        ("tcp://gw1:65536", "have a port from 1 to 65535, known to both sides"),
    ],
)
def test_malformed_endpoint(address: str, expected: str) -> None:
    """A malformed address is refused with what it must be."""
    with pytest.raises(ValueError) as refusal:
        parse_endpoint(address)

    assert str(refusal.value) == expected
