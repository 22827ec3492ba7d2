"""The client's address behind proxies: nobody can choose the one that limits count against."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toto_gateway.http.client_address import ClientAddress

PROXIES = ("10.0.0.0/8", "192.0.2.7", "2001:db8::/32")


@pytest.mark.parametrize(
    ("peer", "header", "address"),
    [
        ("10.1.2.3", "198.51.100.1", "198.51.100.1"),
        ("10.1.2.3", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("10.1.2.3", "198.51.100.1, 192.0.2.7", "198.51.100.1"),
        ("2001:db8::5", "2001:4::9", "2001:4::9"),
        ("::ffff:10.1.2.3", "198.51.100.1", "198.51.100.1"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("10.1.2.3", "unknown", "10.1.2.3"),
        ("10.1.2.3", "198.51.100.1, unknown", "10.1.2.3"),
        ("10.1.2.3", "10.9.9.9", "10.9.9.9"),
        ("198.51.100.2", "1.1.1.1", "198.51.100.2"),
        ("", "1.1.1.1", ""),
        ("10.1.2.3", "1.1.1.1," * 400, "10.1.2.3"),
    ],
)
def test_the_last_untrusted_address_is_the_client(peer: str, header: str, address: str) -> None:
    """What stands further left was written by the client itself."""
    assert ClientAddress(PROXIES).of(peer, header) == address


def test_without_trusted_proxies_the_peer_counts() -> None:
    """The header alone proves nothing."""
    assert ClientAddress(()).of("10.1.2.3", "1.1.1.1") == "10.1.2.3"


@given(st.text(max_size=60), st.text(max_size=200))
def test_any_header_gives_an_address(peer: str, header: str) -> None:
    """The peer's, or one that the header holds."""
    address = ClientAddress(PROXIES).of(peer, header)

    assert address == peer or address in header


def test_a_wrong_network_is_refused() -> None:
    """At start, not at the first request."""
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8"):
        ClientAddress(("10.0.0.1/8",))
