"""One call in a worker: what arrived, and whether its answer is still wanted."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from toto._wire.codec import ProtocolError
from toto._wire.messages import Call
from toto_worker.window import CreditWindow

if TYPE_CHECKING:
    from toto_worker.ports import LinkPort
    from toto_worker.slots import SlotCall

__all__ = ["WorkerCall"]


class WorkerCall:
    """A call from its first frame to its end. ``cancel`` may be called from any thread.

    Args:
        link: the gateway it came from.
        epoch: that gateway's name for the connection.
        message: the CALL message.
        payload: the body or its first chunk.
        window: credit for what the call streams.
    """

    __slots__ = (
        "_cancel_hooks",
        "_chunks",
        "_closes_window",
        "_is_winding_up",
        "_lock",
        "_missing",
        "_wind_up_hooks",
        "deadline",
        "epoch",
        "is_cancelled",
        "is_client_gone",
        "link",
        "message",
        "slot",
        "window",
    )

    def __init__(
        self,
        link: "LinkPort",
        epoch: int,
        message: Call,
        payload: bytes,
        window: CreditWindow,
    ) -> None:
        self.link = link
        self.epoch = epoch
        self.message = message
        self.window = window
        self.deadline = time.monotonic() + message.deadline_milliseconds / 1000
        self.is_cancelled = False
        self.is_client_gone = False
        self.slot: SlotCall[LinkPort] | None = None
        self._chunks = [payload]
        self._missing = message.size - len(payload)
        self._lock = threading.Lock()
        self._closes_window = True
        self._cancel_hooks: list[Callable[[], None]] = []
        self._is_winding_up = False
        self._wind_up_hooks: list[Callable[[], None]] = []
        if self._missing < 0:
            raise ProtocolError("more body than announced")

    @property
    def is_complete(self) -> bool:
        """True when the whole body is here."""
        return self._missing == 0

    def add_part(self, payload: bytes) -> None:
        """Take the next chunk of the body.

        Raises:
            ProtocolError: when it is more than was announced.
        """
        self._missing -= len(payload)
        if self._missing < 0:
            raise ProtocolError("more body than announced")
        self._chunks.append(payload)

    def body(self) -> bytes:
        """Return the whole body."""
        if len(self._chunks) > 1:
            self._chunks = [b"".join(self._chunks)]
        return self._chunks[0]

    def cancel(self, *, is_client_gone: bool) -> None:
        """Say that the answer is not wanted any more; the second time does nothing."""
        with self._lock:
            if self.is_cancelled:
                return
            self.is_cancelled = True
            self.is_client_gone = is_client_gone
            hooks, self._cancel_hooks = self._cancel_hooks, []
            closes_window = self._closes_window
        if closes_window:
            self.window.close()
        for hook in hooks:
            hook()

    def on_cancel(self, hook: Callable[[], None], *, closes_window: bool = True) -> None:
        """Call ``hook`` (in the canceller's thread) when the call is cancelled, or now if it is.

        Several hooks are called in the order in which they came. ``closes_window`` false: this
        hook stops the call. A second signal would interrupt the clean-up that the first one has
        set going.
        """
        with self._lock:
            self._closes_window = self._closes_window and closes_window
            if not self.is_cancelled:
                self._cancel_hooks.append(hook)
                return
        hook()

    def wind_up(self) -> None:
        """Say that the call should end if it merely waits for events; twice does nothing more."""
        with self._lock:
            self._is_winding_up = True
            hooks, self._wind_up_hooks = self._wind_up_hooks, []
        for hook in hooks:
            hook()

    def on_wind_up(self, hook: Callable[[], None]) -> None:
        """Call ``hook``, in whatever thread, when the call should end, or now if it should."""
        with self._lock:
            if not self._is_winding_up:
                self._wind_up_hooks.append(hook)
                return
        hook()

    def drop_hooks(self) -> None:
        """The call has ended: nothing is left to cancel, and what hooks hold may go."""
        with self._lock:
            self._cancel_hooks = []
            self._wind_up_hooks = []
