"""What programs that are no workers send to a gateway harms nobody (section 9)."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgpack
import pytest
import zmq

from toto._core.event_publisher import publish
from toto._wire.codec import decode, encode
from toto._wire.constants import FRAME_BYTES_MAX, PROTOCOL_VERSION, Kind
from toto._wire.messages import Announce, Bye, Message, Publish, Ready, Receipt, Slots, Subscribe
from toto_testkit.cluster import Cluster
from toto_testkit.fixtures import InBackground
from toto_testkit.ports import free_port
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

FLOOD_EVENTS = 5000
NIL = b"\xc0"


@pytest.fixture(scope="module")
def port() -> int:
    """Where the gateway listens for workers."""
    return free_port()


@pytest.fixture(scope="module")
def serving(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One gateway process and one worker."""
    options = {"threads": 4, "worker_address": f"tcp://127.0.0.1:{port}", "request_timeout": 10.0}
    directory = tmp_path_factory.mktemp("strangers")
    with Cluster(directory, workers=1, options=options) as cluster:
        yield cluster


@contextmanager
def stranger(port: int) -> Iterator[Any]:
    """Connect a DEALER that says no HELLO."""
    context: Any = zmq.Context()
    with context, context.socket(zmq.DEALER) as peer:
        peer.setsockopt(zmq.LINGER, 0)
        peer.connect(f"tcp://127.0.0.1:{port}")
        yield peer


def receive(peer: Any) -> Message:
    assert peer.poll(10_000)
    return decode(peer.recv_multipart()[0])[1]


def frame(*fields: object) -> bytes:
    packed: bytes = msgpack.packb(fields)
    return packed


def poll_once(cluster: Cluster, port: int, in_background: InBackground) -> Any:
    """Have a long-poll answered by what is published."""
    polled = in_background(cluster.call, "events.wait", {"name": "still"})

    def is_answered() -> bool:
        publish(f"tcp://127.0.0.1:{port}", "still", "here")
        return polled.done()

    poll_until(is_answered, message="the call is answered")
    return polled.result().result["args"]


SLOTS = Slots(1000, 1000, 0, 0)
HEAD = (PROTOCOL_VERSION, int(Kind.ANNOUNCE), 0)


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([b""], id="empty"),
        pytest.param([b"\xc1\xff\x00garbage"], id="garbage"),
        pytest.param([b"\xdd\xff\xff\xff\xff"], id="a list of four thousand million"),
        pytest.param([b"\x91" * 100_000], id="deep"),
        pytest.param([frame(PROTOCOL_VERSION + 1, *HEAD[1:], 1, "e", True), NIL], id="version"),
        pytest.param([frame(PROTOCOL_VERSION, 99, 0, 1, "e", True), NIL], id="kind"),
        pytest.param([frame(*HEAD, 1, "n" * 129, True), NIL], id="long name"),
        pytest.param([frame(*HEAD, 1, "", True), NIL], id="no name"),
        pytest.param([frame(*HEAD, -1, "e", True), NIL], id="number"),
        pytest.param([frame(*HEAD, 1, "e", 1), NIL], id="flag"),
        pytest.param([encode(Announce(1, "e", True), 0), b"x" * 524_289], id="long arguments"),
        pytest.param([encode(Ready(SLOTS), 0)], id="ready"),
        pytest.param([encode(Subscribe(("still",), (), True), 0)], id="subscribe"),
        pytest.param([encode(Publish("still", True), 0), NIL], id="publish"),
        pytest.param([encode(Bye(gone=True), 0)], id="bye"),
        pytest.param([encode(Receipt(1), 0)], id="receipt"),
    ],
)
def test_what_is_no_event_is_passed_over(
    serving: Cluster, port: int, in_background: InBackground, frames: list[bytes]
) -> None:
    """It gets no answer, and calls and events go on in the same processes."""
    before = serving.gateway_pids(), serving.worker_pids()

    with stranger(port) as peer:
        peer.send_multipart(frames)
        peer.send_multipart([encode(Announce(42, "e", True), 0), NIL])
        answer = receive(peer)

    assert answer == Receipt(42)
    assert poll_once(serving, port, in_background) == "here"
    assert serving.call("echo", 5).result == 5
    assert (serving.gateway_pids(), serving.worker_pids()) == before


def test_a_frame_that_is_too_long_ends_the_connection(serving: Cluster, port: int) -> None:
    """It is never in the gateway's memory as a whole; the next connection is as good as any."""
    with stranger(port) as peer:
        monitor = peer.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        peer.send_multipart([encode(Announce(1, "e", True), 0), b"x" * (FRAME_BYTES_MAX + 1)])
        is_ended = bool(monitor.poll(10_000))
        peer.disable_monitor()
        monitor.close(0)
    with stranger(port) as peer:
        peer.send_multipart([encode(Announce(2, "e", True), 0), NIL])

        assert is_ended
        assert receive(peer) == Receipt(2)


def test_frames_beyond_the_payload_change_nothing(serving: Cluster, port: int) -> None:
    """An event with a hundred frames is confirmed as any other."""
    with stranger(port) as peer:
        peer.send_multipart([encode(Announce(7, "e", True), 0), *[NIL] * 100])

        assert receive(peer) == Receipt(7)


def test_who_does_not_speak_zeromq_is_left_alone(serving: Cluster, port: int) -> None:
    """Such as a browser that took the wrong port, or a megabyte of nonsense."""
    for text in (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\xff" * 1_000_000):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            try:
                connection.sendall(text)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except OSError:
                pass

    assert serving.call("echo", 5).result == 5


def test_a_stranger_s_garbage_is_logged_twice_at_most(serving: Cluster, port: int) -> None:
    """When it begins and when it has been ten times; not a thousand times."""
    begins = serving.output().count("bad frame from peer")

    with stranger(port) as peer, stranger(port) as other:
        for _ in range(1000):
            peer.send(b"garbage")
        poll_until(lambda: "(10 so far)" in serving.output(), message="ten are counted")
        other.send_multipart([encode(Announce(1, "e", True), 0), NIL])
        assert receive(other) == Receipt(1)

    assert serving.output().count("bad frame from peer") - begins == 2


def test_a_flood_of_events_does_not_hold_up_calls(
    serving: Cluster, port: int, in_background: InBackground
) -> None:
    """They are answered while it lasts; and every event is confirmed."""
    sent, numbers = threading.Event(), []

    def flood() -> None:
        with stranger(port) as peer:
            for number in range(FLOOD_EVENTS):
                peer.send_multipart([encode(Announce(number, "e", True), 0), NIL])
            sent.set()
            for _ in range(FLOOD_EVENTS):
                message = receive(peer)
                assert isinstance(message, Receipt)
                numbers.append(message.number)

    flooding = in_background(flood)
    assert sent.wait(10)
    answers = [serving.call("echo", number).result for number in range(5)]
    flooding.result()

    assert answers == list(range(5))
    assert numbers == list(range(FLOOD_EVENTS))
