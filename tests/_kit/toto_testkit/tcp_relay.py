"""A TCP connection through a place where it can be held up, cut and refused."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

ACCEPT_POLL_SECONDS = 0.05
CHUNK_BYTES = 65536


class TcpRelay:
    """Passes bytes between its port and a server's, until told otherwise.

    Args:
        target_port: of the server, on 127.0.0.1.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._flows = threading.Event()
        self._flows.set()
        self._fatal = b""
        self._loses_answer = False
        self._is_closed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(ACCEPT_POLL_SECONDS)
        self.port: int = self._listener.getsockname()[1]
        self.accepted = 0
        self._start(self._accept)

    def hold(self) -> None:
        """Go on accepting connections and bytes, but pass nothing: a server that hangs."""
        self._flows.clear()

    def let_go(self) -> None:
        """Pass everything again."""
        self._flows.set()

    def cut(self) -> None:
        """End all connections, as a restart of the server does; new ones are accepted."""
        with self._lock:
            _end(*self._sockets)
            self._sockets.clear()

    def lose_answer_to(self, request: bytes) -> None:
        """End the connection that sends these bytes, once the server has done what they ask."""
        self._fatal = request

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_closed = True
        self.let_go()
        self.cut()
        for thread in list(self._threads):
            thread.join(10)
        self.cut()
        self._listener.close()

    def _start(self, target: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._is_closed:
            with suppress(TimeoutError):
                client, _ = self._listener.accept()
                self.accepted += 1
                server = socket.create_connection(("127.0.0.1", self._target_port))
                with self._lock:
                    self._sockets += [client, server]
                self._start(self._pass_both_ways, client, server)

    def _pass_both_ways(self, client: socket.socket, server: socket.socket) -> None:
        back = threading.Thread(target=self._answer, args=(server, client), daemon=True)
        back.start()
        self._ask(client, server)
        back.join()
        client.close()
        server.close()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while chunk := client.recv(CHUNK_BYTES):
                self._flows.wait()
                if self._fatal and self._fatal in chunk:
                    self._fatal, self._loses_answer = b"", True
                server.sendall(chunk)
        _end(client, server)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while chunk := server.recv(CHUNK_BYTES):
                self._flows.wait()
                if self._loses_answer:
                    self._loses_answer = False
                    break
                client.sendall(chunk)
        _end(client, server)


def _end(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
