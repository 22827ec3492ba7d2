"""The publisher for programs outside a cluster, over real sockets; the gateway is a fake."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toto._core.event_publisher import EventPublisher, PublishError, publish
from toto._wire.codec import encode
from toto._wire.messages import Announce, Ping, Receipt, Refuse
from toto_testkit.fake_gateway import (
    FakeGateway,
    confirm,
    end,
    say_nothing,
    silent_server,
)
from toto_testkit.ports import free_port

pytestmark = pytest.mark.usefixtures("no_leaks")

HOUR = 3600.0


def native_threads() -> int:
    """Count the threads of this process, ZeroMQ's own too."""
    return len(os.listdir("/proc/self/task"))


def assert_quick(action: Callable[[], object], seconds: float) -> str:
    """Return what the action's PublishError says, which must come within the time."""
    began_at = time.monotonic()
    with pytest.raises(PublishError) as caught:
        action()
    assert time.monotonic() - began_at < seconds
    assert "\n" not in str(caught.value)
    return str(caught.value)


def send_after_loss(publisher: EventPublisher, args: Any) -> None:
    """Send once more if the loss of the connection had not been noticed yet."""
    try:
        publisher.send("a", args)
    except PublishError as error:
        assert error.may_be_delivered
        publisher.send("a", args)


# -- events that arrive


@pytest.mark.parametrize("scheme", ["ipc", "tcp"])
def test_an_event_is_there_when_publish_returns(tmp_path: Path, scheme: str) -> None:
    """With its name, its arguments and whom it is for."""
    endpoint = "tcp://127.0.0.1:*" if scheme == "tcp" else f"ipc://{tmp_path}/gateway.sock"
    with FakeGateway(endpoint) as gateway:
        publish(gateway.endpoint, "a", {"n": [1, None, "\U0001f600"]})
        publish(gateway.endpoint, "b", (b"\0", 1.5), broadcast=False)

        assert gateway.announced == [
            ("a", {"n": [1, None, "\U0001f600"]}, True),
            ("b", [b"\0", 1.5], False),
        ]


def test_many_events_go_over_one_connection() -> None:
    """In their order, with a number each; the program holds no more threads for it."""
    numbers: list[int] = []

    def note(message: Announce) -> list[bytes]:
        numbers.append(message.number)
        return confirm(message)

    with FakeGateway(answer=note) as gateway, EventPublisher(gateway.endpoint) as publisher:
        publisher.send("a", 0)
        threads = native_threads()
        for number in range(1, 500):
            publisher.send("a", number)

        assert native_threads() == threads
        assert [args for _, args, _ in gateway.announced] == list(range(500))
        assert numbers == list(range(1, 501))


def test_the_longest_name_and_arguments_are_taken() -> None:
    """128 characters of four bytes, and 512 KiB of msgpack: 5 bytes tell the length of the text."""
    name, args = "\U0001f600" * 128, "x" * 524_283
    with FakeGateway() as gateway:
        publish(gateway.endpoint, name, args)

        assert gateway.announced == [(name, args, True)]


@pytest.mark.parametrize(
    "chatter",
    [
        pytest.param(lambda number: [b"", b"\xc1", b"\x93\x01\x02\x03"], id="garbage"),
        pytest.param(lambda number: [encode(Receipt(number + 1), 0)], id="another receipt"),
        pytest.param(lambda number: [encode(Ping(), 7)], id="another message"),
        pytest.param(lambda number: [b"x" * 4096], id="long garbage"),
    ],
)
def test_what_is_no_receipt_is_passed_over(chatter: Callable[[int], list[bytes]]) -> None:
    """The receipt behind it counts."""
    with FakeGateway(answer=lambda event: [*chatter(event.number), *confirm(event)]) as gateway:
        publish(gateway.endpoint, "a", 1)

        assert gateway.announced == [("a", 1, True)]


@pytest.mark.parametrize(
    ("name", "args", "error", "told"),
    [
        ("", 1, ValueError, "1 to 128 characters, not 0"),
        ("n" * 129, 1, ValueError, "1 to 128 characters, not 129"),
        ("\ud800", 1, ValueError, "text that UTF-8 can carry"),
        (b"n", 1, TypeError, "must be text, not bytes"),
        ("a", {"k": {1, 2}}, TypeError, r"\$\.k: set"),
        ("a", "x" * 524_284, ValueError, "may have 524288 bytes, not 524289"),
    ],
)
def test_what_cannot_be_sent_is_refused(
    name: Any, args: Any, error: type[Exception], told: str
) -> None:
    """As in a worker, before anything is dialled."""
    publisher = EventPublisher("ipc:///nowhere", timeout_seconds=HOUR)

    with publisher, pytest.raises(error, match=told):
        publisher.send(name, args)


# -- gateways that do not answer


def test_a_socket_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The event has certainly reached nobody."""
    endpoint = f"ipc://{tmp_path}/none.sock"

    with pytest.raises(PublishError) as caught:
        publish(endpoint, "a", 1, timeout_seconds=0.2)

    assert str(caught.value) == (
        f"no gateway could be reached (timeout 0.2 s): {endpoint}: there is no such socket"
    )
    assert caught.value.may_be_delivered is False


def test_a_gateway_that_comes_in_time_is_found(tmp_path: Path) -> None:
    """A program may be started together with it."""
    endpoint = f"ipc://{tmp_path}/gateway.sock"
    gateways: list[FakeGateway] = []
    with EventPublisher(endpoint, timeout_seconds=0.2) as publisher:
        assert_quick(lambda: publisher.send("a", 1), 2.0)
        try:
            gateways.append(FakeGateway(endpoint))
            publisher.send("a", 2)
        finally:
            for gateway in gateways:
                gateway.close()

    assert gateways[0].announced == [("a", 2, True)]


@pytest.mark.parametrize("place", ["127.0.0.1", "localhost"])
def test_a_port_where_nobody_listens(place: str) -> None:
    """It ends in time, by number and by name."""
    endpoint = f"tcp://{place}:{free_port()}"

    told = assert_quick(lambda: publish(endpoint, "a", 1, timeout_seconds=0.2), 2.0)

    assert told.endswith(f"{endpoint}: nobody answers there")


def test_a_server_that_says_nothing() -> None:
    """It ends in time although the connection stands."""
    with silent_server() as endpoint:
        told = assert_quick(lambda: publish(endpoint, "a", 1, timeout_seconds=0.2), 2.0)

    assert told.endswith(f"{endpoint}: nobody answers there")


def test_an_address_that_cannot_be_dialled() -> None:
    """It is told at once, however long it might take."""
    told = assert_quick(lambda: publish("tcp://-:5", "a", 1, plaintext=True), 2.0)

    assert told.endswith("tcp://-:5: this address cannot be dialled")


def test_no_receipt_means_that_nobody_knows() -> None:
    """The event has left, so the error says so; the next one goes over a new connection."""
    with FakeGateway(answer=say_nothing) as gateway:
        with EventPublisher(gateway.endpoint, timeout_seconds=0.2) as publisher:
            with pytest.raises(PublishError) as caught:
                publisher.send("a", 1)
            gateway.answer = confirm
            publisher.send("a", 2)

        assert str(caught.value) == (
            f"the gateway at {gateway.endpoint} has not confirmed the event within 0.2 s, "
            "which may have been delivered"
        )
        assert caught.value.may_be_delivered is True
        assert gateway.announced == [("a", 1, True), ("a", 2, True)]


def test_a_gateway_that_refuses_is_quoted() -> None:
    """At once; the event has reached nobody."""
    refuse = [encode(Refuse("this user\nmay not send events"), 0)]
    with FakeGateway(answer=lambda message: refuse) as gateway:
        with pytest.raises(PublishError) as caught:
            publish(gateway.endpoint, "a", 1, timeout_seconds=HOUR)

        assert str(caught.value) == (
            f"the gateway at {gateway.endpoint} takes no events from here: "
            "this user may not send events"
        )
        assert caught.value.may_be_delivered is False


@pytest.mark.parametrize("repeat", range(5))
def test_a_connection_lost_before_the_receipt_is_told_at_once(repeat: int) -> None:
    """And the event is not sent again, although there is another gateway."""
    with FakeGateway(answer=end) as first, FakeGateway() as second:
        addresses = [first.endpoint, second.endpoint]
        with EventPublisher(addresses, timeout_seconds=HOUR) as publisher:
            told = assert_quick(lambda: publisher.send("a", 1), 5.0)
            announced = list(second.announced)
            publisher.send("a", 2)

        assert told == (
            f"the gateway at {first.endpoint} was lost before it had confirmed the event, "
            "which may have been delivered"
        )
        assert announced == []
        assert first.announced == [("a", 1, True)]
        assert second.announced == [("a", 2, True)]


def test_a_receipt_that_came_before_the_end_counts() -> None:
    """A gateway may confirm an event and stop."""

    def confirm_and_end(message: Announce) -> list[bytes]:
        gateway.end_soon()
        return confirm(message)

    for _ in range(20):
        with FakeGateway(answer=confirm_and_end) as gateway:
            publish(gateway.endpoint, "a", 1, timeout_seconds=HOUR)

            assert gateway.announced == [("a", 1, True)]


# -- several addresses


@pytest.mark.parametrize("as_text", [True, False])
def test_the_first_that_answers_is_used(tmp_path: Path, as_text: bool) -> None:
    """Those before are not there, or accept connections and say nothing; none is waited for."""
    with silent_server() as silent, FakeGateway() as third, FakeGateway() as fourth:
        addresses = [f"ipc://{tmp_path}/none.sock", silent, third.endpoint, fourth.endpoint]
        address = " , ".join(addresses) if as_text else addresses
        with EventPublisher(address) as publisher:
            publisher.send("a", 1)
            publisher.send("a", 2)

        assert third.announced == [("a", 1, True), ("a", 2, True)]
        assert fourth.announced == []


def test_the_next_is_used_when_one_is_lost_and_the_first_again_in_its_turn() -> None:
    """Until all have been tried."""
    with FakeGateway() as second:
        with FakeGateway() as first:
            publisher = EventPublisher([first.endpoint, second.endpoint])
            publisher.send("a", 1)
        send_after_loss(publisher, 2)
        with FakeGateway(first.endpoint) as again:
            second.close()
            send_after_loss(publisher, 3)
            publisher.close()

    assert [first.announced, second.announced, again.announced] == [
        [("a", 1, True)],
        [("a", 2, True)],
        [("a", 3, True)],
    ]


def test_every_address_is_told_of(tmp_path: Path) -> None:
    """Each with what is the matter with it."""
    with silent_server() as silent:
        addresses = [f"ipc://{tmp_path}/none.sock", silent, "tcp://-:7"]

        told = assert_quick(
            lambda: publish(addresses, "a", 1, timeout_seconds=0.6, plaintext=True), 2.0
        )

    assert told.partition("): ")[2] == (
        f"ipc://{tmp_path}/none.sock: there is no such socket; "
        f"{silent}: nobody answers there; tcp://-:7: this address cannot be dialled"
    )


@pytest.mark.parametrize(
    ("address", "error", "told"),
    [
        ("", ValueError, "there must be an address at least"),
        ([], ValueError, "there must be an address at least"),
        (" , ", ValueError, "there must be an address at least"),
        ("http://127.0.0.1:5", ValueError, "must begin with ipc:// or tcp://"),
        ("ipc:///a,tcp://127.0.0.1", ValueError, "'tcp://127.0.0.1', but must be of the form"),
        ([5], TypeError, "an address must be text, not int"),
        ("tcp://10.0.0.1:5", ValueError, "'tcp://10.0.0.1:5', which would be reached unencrypted"),
        ("tcp://gateway.example:5", ValueError, "give CURVE keys, or allow plaintext"),
        ("ipc:///a,tcp://[2001:db8::1]:5", ValueError, "reached unencrypted"),
    ],
)
def test_addresses_are_checked(address: Any, error: type[Exception], told: str) -> None:
    """When the publisher is made, before anything is dialled."""
    with pytest.raises(error, match=told.replace("[", r"\[")):
        EventPublisher(address)


@pytest.mark.parametrize("seconds", [0, -1.0, float("inf"), float("nan")])
def test_a_time_must_be_one(seconds: float) -> None:
    """Without one a program could hang."""
    with pytest.raises(ValueError, match="timeout_seconds must be positive"):
        EventPublisher("ipc:///a", timeout_seconds=seconds)


# -- the end


def test_closing_twice_and_sending_afterwards() -> None:
    """The second time does nothing, and what is sent then is the program's mistake."""
    with FakeGateway() as gateway:
        publisher = EventPublisher(gateway.endpoint)
        publisher.send("a", 1)
        publisher.close()
        publisher.close()

        with pytest.raises(RuntimeError, match="has been closed"):
            publisher.send("a", 2)
    assert gateway.announced == [("a", 1, True)]


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """Neither threads nor descriptors, after success, failure and a receipt that did not come."""
    threads = native_threads()
    descriptors = len(os.listdir("/proc/self/fd"))
    with FakeGateway() as gateway, FakeGateway(answer=say_nothing) as silent:
        for _ in range(10):
            publish([f"ipc://{tmp_path}/none.sock", gateway.endpoint], "a", 1)
            with pytest.raises(PublishError):
                publish(f"ipc://{tmp_path}/none.sock", "a", 1, timeout_seconds=0.02)
            with pytest.raises(PublishError):
                publish(silent.endpoint, "a", 1, timeout_seconds=0.1)
            with pytest.raises(PublishError):
                publish(f"tcp://localhost:{free_port()}", "a", 1, timeout_seconds=0.02)

    assert native_threads() == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors
