"""The gateway's end of the wire for programs outside a cluster, as a test wants it to behave."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import zmq
from zmq.auth.thread import ThreadAuthenticator

from toto._wire.codec import decode, encode
from toto._wire.messages import Announce, Receipt
from toto_testkit.events import MSGPACK
from toto_testkit.waiting import poll_until

Answer = Callable[[Announce], list[bytes] | None]
"""What goes back, each as a message; None ends the gateway instead."""

POLL_MILLISECONDS = 20


def confirm(message: Announce) -> list[bytes]:
    return [encode(Receipt(message.number), 0)]


def say_nothing(message: Announce) -> list[bytes]:
    return []


def end(message: Announce) -> None:
    return None


@dataclass(frozen=True)
class ServerKeys:
    """The keys of a gateway that takes nothing but CURVE, and the one program that it knows."""

    public_key: bytes
    secret_key: bytes = field(repr=False)
    known_key: bytes

    def callback(self, domain: str, key: bytes) -> bool:
        """Tell ZAP whether a program is known; called in the authenticator's thread."""
        return key == self.known_key


class FakeGateway:
    """A bound ROUTER in a thread that takes announced events.

    Args:
        endpoint: where to bind; ``tcp://127.0.0.1:*`` takes a free port.
        answer: says what an event is answered with.
        keys: encrypt; None = plain.
    """

    def __init__(
        self,
        endpoint: str = "tcp://127.0.0.1:*",
        *,
        answer: Answer = confirm,
        keys: ServerKeys | None = None,
    ) -> None:
        self.announced: list[tuple[str, Any, bool]] = []
        self.answer = answer
        self._is_ending = threading.Event()
        self._context: Any = zmq.Context()
        self._authenticator = None
        if keys is not None:
            self._authenticator = ThreadAuthenticator(self._context)
            self._authenticator.start()
            self._authenticator.configure_curve_callback("*", keys)
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 1000)
        if keys is not None:
            self._socket.setsockopt(zmq.CURVE_SERVER, 1)
            self._socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public_key)
            self._socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret_key)
        self._socket.bind(endpoint)
        bound: Any = self._socket.getsockopt(zmq.LAST_ENDPOINT)
        self.endpoint: str = bound.decode().rstrip("\0")
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def wait_for(self, count: int) -> None:
        """Return when so many events have come."""
        poll_until(lambda: len(self.announced) >= count, message=f"{count} events")

    def end_soon(self) -> None:
        """End all connections behind what is being answered."""
        self._is_ending.set()

    def close(self) -> None:
        """End all connections; may be called twice."""
        self._is_ending.set()
        self._thread.join(10)
        if self._authenticator is not None:
            self._authenticator.stop()
            self._authenticator = None
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _serve(self) -> None:
        with self._socket:
            while not self._is_ending.is_set():
                if not self._socket.poll(POLL_MILLISECONDS):
                    continue
                peer, header, payload = self._socket.recv_multipart()
                epoch, message = decode(header)
                assert epoch == 0
                assert isinstance(message, Announce)
                self.announced.append((message.name, MSGPACK.loads(payload), message.is_broadcast))
                frames = self.answer(message)
                if frames is None:
                    return
                for frame in frames:
                    self._socket.send_multipart((peer, frame))


@contextmanager
def silent_server() -> Iterator[str]:
    """Accept connections and never say a word; give the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
