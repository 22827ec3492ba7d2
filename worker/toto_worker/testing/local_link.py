"""The worker's ends of its connection to a gateway, where both are in one process."""

import asyncio
import contextlib
from collections.abc import Callable

from toto._wire.messages import Message
from toto_worker.call import WorkerCall
from toto_worker.calls import CallDesk
from toto_worker.ports import LIVE_STATES, LinkState

__all__ = ["LocalLink", "LocalTransport"]


class LocalLink:
    """Hands what the worker sends to a function.

    Args:
        on_message: called with each message and its payload.
    """

    def __init__(self, on_message: Callable[[Message, bytes], None]) -> None:
        self.endpoint = "local"
        self.state = LinkState.AWAY
        self.epoch = 0
        self.window_bytes = 0
        self.calls: dict[int, WorkerCall] = {}
        self._on_message = on_message

    @property
    def is_live(self) -> bool:
        """True once the handshake is done."""
        return self.state in LIVE_STATES

    def send(self, message: Message, payload: bytes = b"") -> bool:
        """Hand a message over."""
        self._on_message(message, payload)
        return True


class LocalTransport:
    """Runs in the event loop what else the transport thread would run.

    Args:
        desk: the worker's calls.
        loop: the event loop.
    """

    def __init__(self, desk: CallDesk, loop: asyncio.AbstractEventLoop) -> None:
        self.desk = desk
        self._loop = loop

    is_current = False

    def post(self, action: Callable[[], None]) -> None:
        """Run ``action`` in the loop, soon and in order."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the test has given up
            self._loop.call_soon_threadsafe(action)
