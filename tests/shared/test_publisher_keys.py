"""Encrypted connections of the publisher: CURVE, against a ROUTER with a ZAP authenticator."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
import zmq

from toto._core.curve_keys import CurveKeys
from toto._core.event_publisher import EventPublisher, PublishError, publish
from toto_testkit.fake_gateway import FakeGateway, ServerKeys

pytestmark = pytest.mark.usefixtures("no_leaks")

HOUR = 3600.0
# The client's pair in the manual page zmq_curve(7).
PUBLIC_KEY = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
SECRET_KEY = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"  # noqa: S105  # printed in every manual


def new_pair() -> tuple[str, str]:
    public_key, secret_key = zmq.curve_keypair()
    return public_key.decode(), secret_key.decode()


@dataclass(frozen=True)
class Encrypted:
    """A gateway that takes nothing but CURVE, and the keys of the one program that it knows."""

    gateway: FakeGateway
    keys: CurveKeys


@pytest.fixture
def encrypted() -> Iterator[Encrypted]:
    server, client = new_pair(), new_pair()
    keys = ServerKeys(server[0].encode(), server[1].encode(), client[0].encode())
    with FakeGateway(keys=keys) as gateway:
        yield Encrypted(gateway, CurveKeys(server[0], *client))


def refusal(address: str, keys: CurveKeys | None, timeout_seconds: float) -> str:
    """Return what the publisher says, which must come soon."""
    began_at = time.monotonic()
    with pytest.raises(PublishError) as caught:
        publish(address, "a", 1, timeout_seconds=timeout_seconds, curve=keys)
    assert time.monotonic() - began_at < 5.0
    assert caught.value.may_be_delivered is False
    return str(caught.value).rpartition(f"{address}: ")[2]


def test_events_travel_encrypted(encrypted: Encrypted) -> None:
    """The gateway takes nothing else, and gets what was sent."""
    with EventPublisher(encrypted.gateway.endpoint, curve=encrypted.keys) as publisher:
        publisher.send("a", {"secret": "\U0001f600"})
        publisher.send("b", None, broadcast=False)

    assert encrypted.gateway.announced == [
        ("a", {"secret": "\U0001f600"}, True),
        ("b", None, False),
    ]


def test_another_gateway_s_key_is_told_in_time(encrypted: Encrypted) -> None:
    """Somebody who pretends to be the gateway gets nothing."""
    keys = replace(encrypted.keys, server_key=new_pair()[0])

    told = refusal(encrypted.gateway.endpoint, keys, 0.3)

    assert told == "it breaks the handshake off; is its key the right one?"
    assert encrypted.gateway.announced == []


def test_an_unknown_program_is_refused_at_once(encrypted: Encrypted) -> None:
    """Its own keys are good, but the gateway does not know them."""
    keys = CurveKeys(encrypted.keys.server_key, *new_pair())

    told = refusal(encrypted.gateway.endpoint, keys, HOUR)

    assert told == "it refuses this program"
    assert encrypted.gateway.announced == []


def test_an_encrypted_gateway_takes_nothing_plain(encrypted: Encrypted) -> None:
    """That is told at once."""
    told = refusal(encrypted.gateway.endpoint, None, HOUR)

    assert told == "it takes no connections without CURVE keys"
    assert encrypted.gateway.announced == []


def test_a_plain_gateway_is_not_talked_to_with_keys() -> None:
    """What was to be encrypted does not leave plain."""
    with FakeGateway() as gateway:
        told = refusal(gateway.endpoint, CurveKeys(new_pair()[0], *new_pair()), HOUR)

        assert told == "it takes no connections with CURVE keys"
        assert gateway.announced == []


def test_a_gateway_of_another_host_needs_keys_or_leave() -> None:
    """Either will do."""
    keys = CurveKeys(new_pair()[0], *new_pair())

    with pytest.raises(ValueError, match="would be reached unencrypted"):
        EventPublisher("tcp://10.0.0.1:5")
    EventPublisher("tcp://10.0.0.1:5", curve=keys).close()
    EventPublisher("tcp://10.0.0.1:5", plaintext=True).close()


def test_the_public_key_follows_from_the_secret_one() -> None:
    """It need not be told."""
    keys = CurveKeys.of_secret(PUBLIC_KEY, SECRET_KEY)

    assert keys == CurveKeys(PUBLIC_KEY, PUBLIC_KEY, SECRET_KEY)


def test_the_secret_key_is_not_shown() -> None:
    """Neither in a log nor in an error."""
    keys = CurveKeys(PUBLIC_KEY, PUBLIC_KEY, SECRET_KEY)

    assert repr(keys) == f"CurveKeys(server_key='{PUBLIC_KEY}', public_key='{PUBLIC_KEY}')"
    with pytest.raises(ValueError, match="belongs to secret_key") as caught:
        CurveKeys(PUBLIC_KEY, new_pair()[0], SECRET_KEY)
    assert SECRET_KEY not in str(caught.value)


@pytest.mark.parametrize("name", ["server_key", "public_key", "secret_key"])
@pytest.mark.parametrize(
    "key",
    [
        pytest.param("", id="empty"),
        pytest.param(PUBLIC_KEY[:39], id="short"),
        pytest.param(PUBLIC_KEY + "aaaaa", id="long"),
        pytest.param("~" * 40, id="alphabet"),
        pytest.param("ä" * 40, id="no ascii"),
        pytest.param("#" * 40, id="over 32 bits"),
    ],
)
def test_malformed_keys_are_refused(name: str, key: str) -> None:
    """Without being repeated."""
    keys = {"server_key": PUBLIC_KEY, "public_key": PUBLIC_KEY, "secret_key": SECRET_KEY, name: key}

    with pytest.raises(ValueError, match=rf"^{name} must be a key of 40 characters of Z85$"):
        CurveKeys(**keys)


def test_keys_must_be_text() -> None:
    """As they are written in a file."""
    with pytest.raises(TypeError, match=r"^secret_key must be text, not bytes$"):
        CurveKeys(PUBLIC_KEY, PUBLIC_KEY, SECRET_KEY.encode())  # type: ignore[arg-type]
