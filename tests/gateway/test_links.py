"""The gateway's end of the wire over real sockets: handshakes, strangers, deaths."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq

from toto._wire.codec import ProtocolError, decode, encode
from toto._wire.messages import (
    Announce,
    Bye,
    Cancel,
    Drain,
    Hello,
    Message,
    MethodInfo,
    Ping,
    Ready,
    Receipt,
    Result,
    Slots,
    Welcome,
)
from toto_gateway.dispatch.link import Link
from toto_gateway.dispatch.links import WorkerLinks
from toto_gateway.dispatch.liveness import Death
from toto_testkit.ports import free_port

pytestmark = pytest.mark.usefixtures("no_leaks")

TOO_LONG = b"too long"
HELLO = Hello(b"w-1", 4242, "host", (MethodInfo("echo", 0),), 1, 128)


class News:
    """Remembers what the links report."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.messages: list[tuple[Link, Message, bytes]] = []
        self.announced: list[tuple[Announce, bytes]] = []
        self.stale: list[Message] = []
        self.lost: list[tuple[Link, Death, bool]] = []

    def on_link(self, link: Link) -> None:
        self.links.append(link)

    def on_message(self, link: Link, message: Message, payload: bytes) -> None:
        self.messages.append((link, message, payload))

    def on_announce(self, message: Announce, payload: bytes) -> None:
        if payload == TOO_LONG:
            raise ProtocolError("the event is too long")
        self.announced.append((message, payload))

    def on_stale(self, message: Message) -> None:
        self.stale.append(message)

    def on_lost(self, link: Link, death: Death, *, is_expected: bool) -> None:
        self.lost.append((link, death, is_expected))


class Peer:
    """A DEALER that speaks frames."""

    def __init__(self, context: Any, endpoint: str, identity: bytes) -> None:
        self._socket = context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.ROUTING_ID, identity)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(endpoint)

    def send(self, message: Message, epoch: int, payload: bytes = b"") -> None:
        self.send_raw(encode(message, epoch), payload)

    def send_raw(self, *frames: bytes) -> None:
        self._socket.send_multipart(frames)

    async def receive(self) -> tuple[int, Message]:
        await until(lambda: self._socket.poll(0))
        return decode(self._socket.recv_multipart()[0])

    def close(self) -> None:
        self._socket.close(0)


async def until(predicate: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait on the loop until the predicate holds."""
    async with asyncio.timeout(seconds):
        while not predicate():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def links_at(endpoint: str) -> AsyncIterator[tuple[WorkerLinks, News, Callable[..., Peer]]]:
    """Open links, and give a maker of peers."""
    news = News()
    links = WorkerLinks(endpoint, addresses=(endpoint,), stores=b"here", listener=news)
    context: Any = zmq.Context()
    peers: list[Peer] = []

    def connect(identity: bytes = b"w-1") -> Peer:
        peers.append(Peer(context, endpoint, identity))
        return peers[-1]

    links.open()
    try:
        yield links, news, connect
    finally:
        for peer in peers:
            peer.close()
        links.close()
        context.term()


@pytest.fixture
def ipc(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/g.sock"


@pytest.fixture
def tcp() -> str:
    return f"tcp://127.0.0.1:{free_port()}"


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario on a loop of its own."""
    asyncio.run(scenario())  # type: ignore[arg-type]  # a coroutine function


def test_hello_is_answered_with_welcome_and_a_new_epoch(ipc: str) -> None:
    """The worker learns its epoch and the siblings' addresses; messages then reach the listener."""

    async def scenario() -> None:
        async with links_at(ipc) as (_, news, connect):
            peer = connect()
            peer.send(HELLO, 0)
            epoch, welcome = await peer.receive()

            peer.send(Ready(Slots(1, 128, 0, 0)), epoch)
            await until(lambda: news.messages)

            assert welcome == Welcome((ipc,), 262144)
            assert [link.epoch for link in news.links] == [epoch]
            assert news.links[0].pid == os.getpid()  # attested by the kernel, not by HELLO's 4242
            assert news.messages == [(news.links[0], Ready(Slots(1, 128, 0, 0)), b"")]

    run(scenario)


@pytest.mark.parametrize(("stores", "is_told"), [(b"here", 0), (b"elsewhere", 1), (b"", 0)])
def test_a_worker_with_other_session_stores_is_warned_of(
    ipc: str, caplog: pytest.LogCaptureFixture, stores: bytes, is_told: int
) -> None:
    """It may serve, but logins made there would be unknown here."""

    async def scenario() -> None:
        async with links_at(ipc) as (_, news, connect):
            connect().send(HELLO._replace(stores=stores), 0)
            await until(lambda: news.links)

    run(scenario)
    assert caplog.text.count("has other options for sessions than this gateway") == is_told


def test_a_message_of_another_epoch_reaches_no_call(ipc: str) -> None:
    """What was meant for an older connection is counted and dropped."""

    async def scenario() -> None:
        async with links_at(ipc) as (_, news, connect):
            peer = connect()
            peer.send(HELLO, 0)
            epoch, _ = await peer.receive()

            peer.send(Result(1, 1, True, 0, None, None, 0, 0), epoch + 1, b"somebody else's")
            await until(lambda: news.stale)

            assert news.messages == []

    run(scenario)


def test_a_stranger_may_announce_events(ipc: str) -> None:
    """Each is receipted by its number, and one that is refused is not; no worker comes of it."""

    async def scenario() -> None:
        async with links_at(ipc) as (links, news, connect):
            peer = connect()
            peer.send(Announce(6, "e", True), 0, TOO_LONG)
            peer.send(Announce(7, "e", True), 0, b"args")
            receipt = await peer.receive()

            assert receipt == (0, Receipt(7))
            assert news.announced == [(Announce(7, "e", True), b"args")]
            assert links.bad_frames == 1
            assert news.links == []

    run(scenario)


def test_a_stranger_without_hello_is_not_heard(ipc: str) -> None:
    """Forged results of a peer that never introduced itself go nowhere."""

    async def scenario() -> None:
        async with links_at(ipc) as (_, news, connect):
            stranger = connect(b"stranger")
            stranger.send(Result(1, 1, True, 0, None, None, 0, 0), 0, b"forged")
            await until(lambda: news.stale)

            assert news.messages == []
            assert news.links == []

    run(scenario)


@pytest.mark.parametrize(
    "frames",
    [
        (b"",),
        (b"\xff" * 100,),
        (b"\x93\x01\x28",),
        (b"a", b"b", b"c", b"d"),
        (encode(Cancel(1, 1, True), 0)[:-1],),
    ],
)
def test_ten_bad_frames_end_a_worker(ipc: str, frames: tuple[bytes, ...]) -> None:
    """The gateway lives on, another worker is heard, the noisy one is not taken back."""

    async def scenario() -> None:
        async with links_at(ipc) as (links, news, connect):
            noisy, good = connect(b"noisy"), connect(b"good")
            noisy.send(HELLO, 0)
            await noisy.receive()
            for _ in range(10):
                noisy.send_raw(*frames)
            await until(lambda: news.lost)

            noisy.send(HELLO, 0)
            good.send(HELLO, 0)
            await good.receive()

            assert links.bad_frames >= 10
            assert [link.peer for link in news.links] == [b"noisy", b"good"]

    run(scenario)


def test_a_worker_that_dials_again_is_a_new_link(ipc: str) -> None:
    """What the first connection carried is given up before the second one counts."""

    async def scenario() -> None:
        async with links_at(ipc) as (_, news, connect):
            peer = connect()
            peer.send(HELLO, 0)
            first, _ = await peer.receive()
            peer.send(HELLO, 0)
            second, _ = await peer.receive()

            assert first != second
            assert [link.epoch for link, _, _ in news.lost] == [first]
            assert news.links[1].pid == os.getpid()

    run(scenario)


def test_bye_is_answered_and_a_last_bye_ends_the_link(ipc: str) -> None:
    """A worker that drains is told that no call follows; when it goes, nothing is wrong."""

    async def scenario() -> None:
        async with links_at(ipc) as (_, news, connect):
            peer = connect()
            peer.send(HELLO, 0)
            epoch, _ = await peer.receive()

            peer.send(Bye(gone=False), epoch)
            assert await peer.receive() == (epoch, Drain())
            peer.send(Bye(gone=True), epoch)
            await until(lambda: news.lost)

            assert news.lost == [(news.links[0], Death(), True)]

    run(scenario)


WORKER = """
import sys, zmq
from toto._wire.codec import encode
from toto._wire.messages import Hello
dealer = zmq.Context().socket(zmq.DEALER)
dealer.connect(sys.argv[1])
dealer.send(encode(Hello(b"w", int(sys.argv[2]), "host", (), 1, 1), 0))
dealer.recv()
if sys.argv[3] == "again":
    dealer.send(encode(Hello(b"w", int(sys.argv[2]), "host", (), 1, 1), 0))
    dealer.recv()
print("welcome", flush=True)
sys.stdin.read()
"""


def start_worker(endpoint: str, pid: int = 0, how: str = "once") -> "subprocess.Popen[bytes]":
    """Start a process that introduces itself and waits."""
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, endpoint, str(pid), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


@pytest.mark.parametrize("scheme", ["ipc", "tcp"])
def test_a_killed_worker_is_noticed(
    scheme: str, ipc: str, tcp: str, request: pytest.FixtureRequest
) -> None:
    """At once, and on this host with the signal that killed it."""
    endpoint = {"ipc": ipc, "tcp": tcp}[scheme]

    async def scenario() -> None:
        async with links_at(endpoint) as (_, news, _connect):
            with start_worker(endpoint) as worker:
                await until(lambda: news.links)

                worker.kill()
                await until(lambda: news.lost)

                expected = Death(exit_signal=9) if scheme == "ipc" else Death()
                assert news.lost == [(news.links[0], expected, False)]

    run(scenario)


def test_a_pid_that_only_the_worker_claims_is_not_watched(tcp: str) -> None:
    """Over tcp a pid means nothing here: the end of an unrelated process costs no worker."""

    async def scenario() -> None:
        async with links_at(tcp) as (links, news, _connect):
            with (
                subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other,
                start_worker(tcp, pid=other.pid, how="again") as worker,
            ):
                await until(lambda: len(news.links) == 2)
                other.communicate(b"\n")
                other.wait()
                links.check(news.links[1])
                await asyncio.sleep(0)

                assert len(news.lost) == 1  # the first link, replaced by the second
                assert links.send(news.links[1], Ping())
                worker.kill()

    run(scenario)
