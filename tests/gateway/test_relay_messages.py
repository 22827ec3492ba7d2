"""Messages between gateway processes, to bytes and back."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toto._wire.codec import ProtocolError
from toto._wire.constants import EVENT_BYTES_MAX
from toto_gateway.events.relay_messages import (
    Back,
    Channels,
    Claim,
    Hand,
    Offer,
    Pulse,
    RelayedEvent,
    RelayMessage,
    decode,
    encode,
)

TO_EVERYONE = (RelayedEvent, Offer)
IDS = st.binary(min_size=1, max_size=64)
NUMBERS = st.integers(0, 2**63 - 1)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128)
CURSORS = st.text(st.characters(exclude_categories=["Cs"]), max_size=128)
PAYLOADS = st.binary(max_size=200)
MESSAGES: st.SearchStrategy[RelayMessage] = st.one_of(
    st.builds(RelayedEvent, IDS, NUMBERS, NAMES, PAYLOADS, CURSORS),
    st.builds(Offer, IDS, NUMBERS, NAMES),
    st.builds(Claim, IDS, NUMBERS),
    st.builds(Hand, IDS, NUMBERS, NUMBERS, NAMES, PAYLOADS),
    st.builds(Back, IDS, NUMBERS, NUMBERS),
    st.builds(Pulse, IDS),
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.floats() | PAYLOADS | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.integers(0, 3), inner),
    max_leaves=12,
)


def test_bytes_of_every_message() -> None:
    """They are the same in all gateway processes of a cluster, whatever their version."""
    expected: list[tuple[RelayMessage, bytes]] = [
        (
            RelayedEvent(b"g", 7, "n", b"p", "5-0"),
            b"\x97\x01\x01\xc4\x01g\x07\xa1n\xc4\x01p\xa35-0",
        ),
        (Offer(b"g", 7, "n"), b"\x95\x01\x02\xc4\x01g\x07\xa1n"),
        (Claim(b"g", 7), b"\x94\x01\x03\xc4\x01g\x07"),
        (Hand(b"g", 7, 1, "n", b"p"), b"\x97\x01\x04\xc4\x01g\x07\x01\xa1n\xc4\x01p"),
        (Back(b"g", 7, 1), b"\x95\x01\x05\xc4\x01g\x07\x01"),
        (Pulse(b"g"), b"\x93\x01\x06\xc4\x01g"),
    ]

    encoded = [(message, encode(message)) for message, _ in expected]

    assert encoded == expected


@given(MESSAGES)
def test_round_trip(message: RelayMessage) -> None:
    """What was encoded is decoded on its channel, and refused on the other one."""
    is_to_everyone = isinstance(message, TO_EVERYONE)
    frame = encode(message)

    assert decode(frame, is_to_everyone=is_to_everyone) == message
    assert type(decode(frame, is_to_everyone=is_to_everyone)) is type(message)
    with pytest.raises(ProtocolError):
        decode(frame, is_to_everyone=not is_to_everyone)


@given(
    st.binary(max_size=300)
    | ANYTHING.map(msgpack.packb)
    | st.tuples(st.just(1), st.integers(0, 7), st.lists(ANYTHING, max_size=6)).map(
        lambda parts: msgpack.packb([parts[0], parts[1], *parts[2]])
    ),
    st.booleans(),
)
def test_decoding_is_total(frame: bytes, is_to_everyone: bool) -> None:
    """Any bytes give a message, which encodes to something that decodes again, or the error."""
    try:
        message = decode(frame, is_to_everyone=is_to_everyone)
    except ProtocolError:
        return
    assert decode(encode(message), is_to_everyone=is_to_everyone) == message


@given(MESSAGES, st.data())
def test_damaged_messages(message: RelayMessage, data: st.DataObject) -> None:
    """One that was cut, or lengthened, is refused."""
    frame = encode(message)
    cut = frame[: data.draw(st.integers(0, len(frame) - 1))]

    for damaged in (cut, frame + b"\x00"):
        with pytest.raises(ProtocolError):
            decode(damaged, is_to_everyone=isinstance(message, TO_EVERYONE))


@pytest.mark.parametrize(
    "fields",
    [
        (2, 2, b"g", 1, "n"),
        (True, 2, b"g", 1, "n"),
        (1, 9, b"g", 1, "n"),
        (1, 2, b"", 1, "n"),
        (1, 2, b"g" * 65, 1, "n"),
        (1, 2, "g", 1, "n"),
        (1, 2, b"g", -1, "n"),
        (1, 2, b"g", 2**63, "n"),
        (1, 2, b"g", True, "n"),
        (1, 2, b"g", 1.0, "n"),
        (1, 2, b"g", 1, ""),
        (1, 2, b"g", 1, "n" * 129),
        (1, 2, b"g", 1, b"n"),
        (1, 2, b"g", 1),
        (1, 2, b"g", 1, "n", 0),
        (1, 1, b"g", 1, "n", b"p" * (EVENT_BYTES_MAX + 1), ""),
        (1, 1, b"g", 1, "n", "p", ""),
        (1, 1, b"g", 1, "n", b"p", "c" * 129),
        (1, 1, b"g", 1, "n", b"p", None),
    ],
)
def test_fields_are_checked(fields: tuple[object, ...]) -> None:
    """Of another version, kind, type or length they are refused."""
    frame = msgpack.packb(fields)

    with pytest.raises(ProtocolError):
        decode(frame, is_to_everyone=True)


def test_the_longest_event_fits() -> None:
    """With the longest name, cursor and id, in characters of four bytes each."""
    event = RelayedEvent(
        b"g" * 64, 2**63 - 1, "\N{CAT}" * 128, b"p" * EVENT_BYTES_MAX, "\N{CAT}" * 128
    )

    assert decode(encode(event), is_to_everyone=True) == event


def test_channels() -> None:
    """Each gateway process has one beside the common one, and so has each database."""
    channels, other = Channels("toto:"), Channels("toto:", 3)

    assert channels.everyone == "toto:events"
    assert channels.of(b"\x01\xff") == "toto:events:01ff"
    assert other.everyone == "toto:events/3"
    assert other.of(b"\x01\xff") == "toto:events/3:01ff"
