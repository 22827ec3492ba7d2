"""The thread that talks to the gateways: frames, slots, credits, cancels.

No user code runs here, so that a busy or blocked method can neither silence the worker nor delay
a cancel. Other threads reach it through ``post``.
"""

import asyncio
import logging
import math
import os
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import zmq

from toto._core.timing import MethodTimes
from toto._wire.messages import Bye, Hello, MethodInfo
from toto_worker.call import WorkerCall
from toto_worker.calls import CallDesk
from toto_worker.gateway_link import (
    DRAIN_LINGER_MILLISECONDS,
    GatewayLink,
    has_message,
)
from toto_worker.ports import LinkPort, LinkState
from toto_worker.slots import SlotTable

__all__ = ["Transport", "TransportSettings"]

_log = logging.getLogger("toto.transport")

DRAIN_MESSAGES_MAX = 256
INBOX_ACTIONS_MAX = 256
"""Answers sent in one turn; a generator that yields without end must not keep cancels out."""
DIGEST_SECONDS = 1.0
"""Slots are announced at least this often, so that a lost message costs a second at most."""
GREETING_SECONDS = 2.0
"""A HELLO without an answer is repeated after this time."""
DRAIN_ANSWER_SECONDS = 2.0
EXIT_CRASH = 1


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """What the worker says of itself, and to whom."""

    endpoints: tuple[str, ...]
    methods: tuple[MethodInfo, ...]
    threads: int
    loop_slots: int
    stores: bytes


class Transport:
    """Owns all sockets of a worker process and its table of slots.

    Args:
        settings: capacity, methods and the gateways to dial.
        loop: the event loop of the methods' coroutines.
        on_start: called in the transport thread to have a call run elsewhere.
        on_live: called once in the transport thread, when the first gateway has accepted us.
        parent_pipe: at its end the supervisor is gone, and this process must go too.
        orphan_seconds: what it may take for that; a method that blocks the event loop keeps the
            orderly way from being gone.
    """

    def __init__(
        self,
        settings: TransportSettings,
        *,
        loop: asyncio.AbstractEventLoop,
        on_start: Callable[[WorkerCall], None],
        on_live: Callable[[], None],
        parent_pipe: int | None = None,
        orphan_seconds: float = 30.0,
    ) -> None:
        self._parent_pipe = parent_pipe
        self._orphan_seconds = orphan_seconds
        self._exit_at = math.inf
        self._digest_at = 0.0
        self._settings = settings
        self._on_live: Callable[[], None] | None = on_live
        self._on_drained: Callable[[], object] | None = None
        self._drain_until = 0.0
        self._incarnation = b"w" + secrets.token_bytes(15)
        self._hello = Hello(
            self._incarnation,
            os.getpid(),
            socket.gethostname(),
            settings.methods,
            settings.threads,
            settings.loop_slots,
            settings.stores,
        )
        times = MethodTimes()
        slots: SlotTable[LinkPort] = SlotTable(
            threads=settings.threads,
            loop_slots=settings.loop_slots,
            is_fast=lambda method: times.of(method).is_fast,
        )
        self.desk = CallDesk(slots, times, loop=loop, on_start=on_start)
        self._slots = slots
        self._inbox: deque[Callable[[], None]] = deque()
        self._is_woken = False
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._links: dict[str, GatewayLink] = {}
        self._thread = threading.Thread(target=self._run, name="toto-transport", daemon=True)
        self._is_stopping = False

    # -- for other threads

    def start(self) -> None:
        """Dial the gateways and begin."""
        self._thread.start()

    @property
    def is_current(self) -> bool:
        """True in the transport thread: a finalizer of a method's may run there."""
        return threading.get_ident() == self._thread.ident

    def post(self, action: Callable[[], None]) -> None:
        """Run ``action`` in the transport thread, soon and in order."""
        self._inbox.append(action)
        if not self._is_woken:
            self._is_woken = True
            self._wake_writer.send(b"\0")

    def drain(self, on_drained: Callable[[], object]) -> None:
        """Take no new calls; call ``on_drained`` (in the transport thread) when all have ended."""
        self.post(lambda: self._begin_drain(on_drained))

    def cancel_all(self) -> None:
        """Cancel every call."""
        self.post(self._cancel_all)

    def stop(self) -> None:
        """Say goodbye, close the sockets and end the thread; may be called twice."""
        if self._thread.is_alive():
            self.post(self._request_stop)
            self._thread.join(timeout=2 * DRAIN_LINGER_MILLISECONDS / 1000)

    # -- the thread

    def _request_stop(self) -> None:
        self._is_stopping = True

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException:  # noqa: BLE001  # the thread's edge
            # Without this thread the process can neither work nor be missed: its heartbeats go on.
            _log.critical("the transport has failed; this worker ends", exc_info=True)
            os._exit(EXIT_CRASH)

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._wake_reader, zmq.POLLIN)
        if self._parent_pipe is not None:
            poller.register(self._parent_pipe, zmq.POLLIN)
        for endpoint in self._settings.endpoints:
            self._dial(poller, endpoint)
        while not self._is_stopping:
            ready = dict(poller.poll(self._poll_milliseconds()))
            if self._wake_reader.fileno() in ready:
                self._wake_reader.recv(4096)
            if self._parent_pipe in ready:
                poller.unregister(self._parent_pipe)
                self._exit_at = time.monotonic() + self._orphan_seconds
            self._run_inbox()
            self._read_links(poller, ready)
            self._on_timers(time.monotonic())
        self._say_goodbye()
        self._wake_reader.close()
        self._wake_writer.close()

    def _read_links(self, poller: zmq.Poller, ready: dict[Any, int]) -> None:
        for link in list(self._links.values()):
            if link.monitor in ready:
                self._watch(link)
            if link.socket in ready:
                self._read(link)
            for endpoint in self.desk.take_new_siblings(link):
                self._dial(poller, endpoint)

    def _on_timers(self, now: float) -> None:
        if now >= self._exit_at:
            os._exit(EXIT_CRASH)
        self.desk.expire_grants(now)
        if now >= self._digest_at:
            self._digest_at = now + DIGEST_SECONDS
            self.desk.announce_all(self._live_links())
        self._repeat_greetings(now)
        self._check_drained(now)

    def _run_inbox(self) -> None:
        # Cleared before the first action is taken: what is posted from here on wakes us again.
        self._is_woken = False
        for _ in range(min(len(self._inbox), INBOX_ACTIONS_MAX)):
            self._inbox.popleft()()

    def _poll_milliseconds(self) -> int:
        if self._inbox:
            return 0
        until = self._digest_at
        expiry = self._slots.next_expiry
        if expiry is not None:
            until = min(until, expiry)
        if self._on_drained is not None:
            until = min(until, self._drain_until)
        return max(0, min(1000, int((until - time.monotonic()) * 1000) + 1))

    def _dial(self, poller: zmq.Poller, endpoint: str) -> None:
        if endpoint in self._links:
            return
        link = self._links[endpoint] = GatewayLink(endpoint, self._incarnation)
        poller.register(link.socket, zmq.POLLIN)
        poller.register(link.monitor, zmq.POLLIN)
        link.dial()

    def _watch(self, link: GatewayLink) -> None:
        for event in link.connection_events():
            if event == zmq.EVENT_DISCONNECTED:
                if link.is_live:
                    _log.info("the gateway at %s is gone", link.endpoint)
                link.state = LinkState.AWAY
                self.desk.link_down(link)
            elif link.state is not LinkState.REFUSED:
                link.state = LinkState.GREETING
                link.greet(self._hello)

    def _read(self, link: GatewayLink) -> None:
        for _ in range(DRAIN_MESSAGES_MAX):
            if not has_message(link.socket):
                break
            frames = link.socket.recv_multipart(zmq.NOBLOCK)
            self.desk.on_frames(link, frames)
            if link.state is LinkState.REFUSED:
                raise RuntimeError(f"the gateway at {link.endpoint} refuses this worker")
        if link.is_live and self._on_live is not None:
            self._on_live()
            self._on_live = None

    def _repeat_greetings(self, now: float) -> None:
        for link in self._links.values():
            if link.state is LinkState.GREETING and now - link.greeted_at > GREETING_SECONDS:
                link.greet(self._hello)

    def _live_links(self) -> Iterable[GatewayLink]:
        return [link for link in self._links.values() if link.is_live]

    # -- the end

    def _cancel_all(self) -> None:
        for link in self._links.values():
            self.desk.cancel_link(link)

    def _begin_drain(self, on_drained: Callable[[], object]) -> None:
        self._on_drained = on_drained
        self._drain_until = time.monotonic() + DRAIN_ANSWER_SECONDS
        for link in self._live_links():
            link.send(Bye(gone=False))
            self.desk.wind_up(link)
        self.desk.drain()

    def _check_drained(self, now: float) -> None:
        if self._on_drained is None or not self._slots.is_idle:
            return
        is_answered = all(link.state is LinkState.DRAINED for link in self._live_links())
        if is_answered or now >= self._drain_until:
            on_drained, self._on_drained = self._on_drained, None
            on_drained()

    def _say_goodbye(self) -> None:
        for link in self._links.values():
            if link.is_live:
                link.send(Bye(gone=True))
            link.close(linger_milliseconds=DRAIN_LINGER_MILLISECONDS)
