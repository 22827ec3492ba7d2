"""Events between the workers of a cluster: one method sends, functions in any worker are called."""

import asyncio
import inspect
import logging
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, ClassVar

from toto._core.event_port import EventPort
from toto._core.event_runner import EventArguments, EventRunner
from toto._core.event_table import EventTable, Registration
from toto._core.formats.errors import MalformedBody
from toto._core.formats.registry import FormatRegistry
from toto._wire.constants import EVENT_BYTES_MAX, EVENT_NAME_LENGTH_MAX

__all__ = ["EventManager"]

_log = logging.getLogger("toto.events")


class EventManager:
    """Sends events and calls the functions that wait for them. Any thread may use it.

    An event reaches a handler at most once: it is lost when a gateway or a worker is lost on its
    way, and nobody gets it who registers after it was sent. What one sender sends under one name
    arrives in that order.
    """

    _instance: "ClassVar[EventManager | None]" = None
    _instance_lock = threading.Lock()

    @classmethod
    def instance(cls) -> "EventManager":
        """Return the manager of this process."""
        with EventManager._instance_lock:
            if EventManager._instance is None:
                EventManager._instance = EventManager()
            return EventManager._instance

    def __init__(self) -> None:
        self._format = FormatRegistry(msgpack_enabled=True, bson_enabled=False).msgpack
        # One that its own thread may take twice: a finalizer may remove a handler at any moment.
        self._lock = threading.RLock()
        self._table = EventTable()
        self._told_changes = 0
        self._port: EventPort | None = None
        self._runner: EventRunner | None = None
        self._is_dropping = False

    # -- for applications

    def register_handler(
        self,
        event_name: str,
        event_handler: Callable[[Any], Any],
        run_on_main_loop: bool = False,
        request_handler: Any = None,
        persist: bool = False,
    ) -> Any:
        """Have a function called when an event comes.

        Args:
            event_name: 1 to 128 characters; a worker may wait for 10,000 names.
            event_handler: called as ``event_handler(args)``, where all handlers of an event in this
                process share one ``args``. A coroutine function runs on the worker's event loop.
                What it raises is logged.
            run_on_main_loop: call it on the worker's event loop, which it must not block; otherwise
                it is called in one of a few threads that all handlers of this process share.
            request_handler: the handler of a call; once that call has been answered or cancelled,
                the function is not called any more.
            persist: call it for every event, in their order; otherwise for the next one only.

        Returns:
            A signature for ``remove_handler``.

        Raises:
            TypeError: the name is no text, or the handler cannot be called.
            ValueError: the name is too short or too long.
        """
        event_name = _checked_name(event_name)
        if not callable(event_handler):
            raise TypeError(f"an event handler must be a function, not {event_handler!r}")
        registration = Registration(
            event_name,
            event_handler,
            is_on_loop=run_on_main_loop or inspect.iscoroutinefunction(event_handler),
            is_persistent=persist,
            request_handler=request_handler,
            context=copy_context(),
        )
        with self._lock:
            self._table.add(registration)
            self._tell_names()
        return registration

    def remove_handler(self, sig: Any) -> None:
        """Forget a function that ``register_handler`` returned ``sig`` for.

        It is not called any more, even for an event that has come already. A second time, or with
        anything else, this does nothing.
        """
        if not isinstance(sig, Registration):
            return
        sig.is_removed = True
        with self._lock:
            self._table.remove(sig)
            self._tell_names()

    def send(self, event_name: str, event_args: Any, broadcast: bool = True) -> None:
        """Have the handlers of an event called, in this worker too. It does not wait for them.

        Args:
            event_name: 1 to 128 characters.
            event_args: what msgpack can carry, at most 512 KiB of it.
            broadcast: True reaches every worker that has a handler, False one of them in turn;
                there all its handlers are called.

        Raises:
            TypeError: the name is no text, or msgpack cannot carry the arguments; it tells where.
            ValueError: the name is too short or too long, or the arguments are too large.
            RuntimeError: this process is no worker, or it does not serve yet.
        """
        event_name = _checked_name(event_name)
        payload = self._encoded(event_args)
        port = self._port
        if port is None:
            raise RuntimeError("only a worker that serves can send events; this process is none")
        port.publish(event_name, payload, bool(broadcast))

    def _encoded(self, event_args: Any) -> bytes:
        payload = self._format.encode_item(event_args)
        if len(payload) > EVENT_BYTES_MAX:
            raise ValueError(
                f"the arguments of an event may have {EVENT_BYTES_MAX} bytes, not {len(payload)}"
            )
        try:
            self._format.loads(payload)
        except MalformedBody as error:
            # Better here than in the log of every worker that gets it.
            raise ValueError(f"the arguments of the event cannot be sent: {error}") from None
        return payload

    # -- for the worker

    def attach(self, port: EventPort, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to send and to receive. The worker calls it, once it is put together.

        Args:
            port: the way to the other workers.
            loop: the loop of the methods' coroutines.
        """
        with self._lock:
            self._port = port
            self._runner = EventRunner(loop)
            port.deliver_to(self.receive)
            self._told_changes = self._table.changes
            port.subscribe(self._table.names)

    def detach(self) -> None:
        """Neither send nor receive any more. The worker calls it when it ends."""
        with self._lock:
            runner, self._runner, self._port = self._runner, None, None
        if runner is not None:
            runner.close()

    def receive(self, name: str, payload: bytes) -> bool:
        """Have everybody called who waits for an event. The port calls it; it does not wait.

        Args:
            name: of the event.
            payload: its encoded arguments.

        Returns:
            False when nobody waits, so that another worker should have it.
        """
        with self._lock:
            runner = self._runner
            if runner is None:
                return False
            if self._drops(runner):
                return True
            taken = self._table.take(name)
            self._tell_names()
        if taken:
            arguments = EventArguments(payload, self._format)
            for registration in taken:
                runner.run(registration, arguments)
        return bool(taken)

    def _drops(self, runner: EventRunner) -> bool:
        was_dropping, self._is_dropping = self._is_dropping, runner.is_full
        if self._is_dropping and not was_dropping:
            _log.error("handlers are too slow for the events that come: dropping events")
        elif was_dropping and not self._is_dropping:
            _log.warning("events are taken again")
        return self._is_dropping

    def _tell_names(self) -> None:
        # Under the lock: of two threads the later one must not be overtaken.
        if self._port is not None and self._told_changes != self._table.changes:
            self._told_changes = self._table.changes
            self._port.subscribe(self._table.names)


def _checked_name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name of an event must be text, not {type(name).__name__}")
    name = str.__str__(name)  # a subclass may count and compare as it likes
    if not 0 < len(name) <= EVENT_NAME_LENGTH_MAX:
        raise ValueError(
            f"the name of an event must have 1 to {EVENT_NAME_LENGTH_MAX} characters, "
            f"not {len(name)}"
        )
    if any("\ud800" <= character <= "\udfff" for character in name):
        raise ValueError("the name of an event must be text that UTF-8 can carry")
    return name
