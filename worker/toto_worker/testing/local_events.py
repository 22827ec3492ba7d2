"""The events of a test's call: they go no further than this process."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from toto._core.event_port import ArrivedEvent, EventReceiver

__all__ = ["LocalEvents", "Sent"]

Sent = tuple[str, bytes, bool]
"""The name of an event, its encoded arguments, and whether it is for all workers."""


class LocalEvents:
    """An ``EventPort`` that keeps what is sent, and gives it to the handlers of this process.

    Args:
        loop: the event loop of the call.
        sent: gets every event.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, sent: list[Sent]) -> None:
        self._loop = loop
        self._sent = sent
        self._receiver: EventReceiver | None = None

    def deliver_to(self, receiver: EventReceiver, on_missed: Callable[[], None]) -> None:
        """Give the events to ``receiver``; here none is lost."""
        self._receiver = receiver

    def subscribe(self, changes: Mapping[str, bool]) -> None:
        """Do nothing: the receiver knows its names."""

    @property
    def has_history(self) -> bool:
        """Nothing is recorded in a test."""
        return False

    def publish(self, name: str, payload: bytes, is_broadcast: bool) -> None:
        """Keep an event, and deliver it soon."""
        self._sent.append((name, payload, is_broadcast))
        if self._receiver is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the test has given up
                event = ArrivedEvent(name, payload)
                self._loop.call_soon_threadsafe(self._receiver, event)
