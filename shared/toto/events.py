"""Events between the workers of a cluster: one method sends, functions in any worker are called."""

import asyncio
import contextlib
import inspect
import logging
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, ClassVar, get_args

from toto._core.event_encoding import checked_name, encoded_arguments
from toto._core.event_history import EventHistory
from toto._core.event_port import ArrivedEvent, EventPort
from toto._core.event_publisher import CurveKeys, EventPublisher, PublishError, publish
from toto._core.event_runner import EventArguments, EventRunner
from toto._core.event_subscription import Event, EventPage, EventSubscription, SlowConsumer
from toto._core.event_table import EventTable, Registration
from toto._core.formats.registry import FormatRegistry
from toto._core.history_reader import HistoryReader

__all__ = [
    "CurveKeys",
    "Event",
    "EventManager",
    "EventPage",
    "EventPublisher",
    "EventSubscription",
    "PublishError",
    "publish",
]

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
        self._port: EventPort | None = None
        self._runner: EventRunner | None = None
        self._is_dropping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reader: HistoryReader | None = None
        self._subscriptions: dict[EventSubscription, Registration] = {}

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
        event_name = checked_name(event_name)
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

    def subscribe(
        self,
        event_name: str,
        since: str | None = None,
        slow_consumer: SlowConsumer = "block",
        queue_max: int = 100,
        request_handler: Any = None,
    ) -> EventSubscription:
        """Return all events of a name from now on, for ``async for`` in a coroutine.

        Args:
            event_name: 1 to 128 characters.
            since: the cursor of an event: begin behind it, with what the history still has.
            slow_consumer: what happens when more than ``queue_max`` events wait: ``"block"`` lets
                them wait (with a history: there), ``"drop_oldest"`` leaves out the oldest,
                ``"close"`` ends with error 1103.
            queue_max: events that may wait, 1 and more.
            request_handler: the handler of a call; the subscription ends with it.

        Raises:
            TypeError: the name is no text.
            ValueError: the name, the policy or the number cannot be.
            RuntimeError: this is not the worker's event loop, or the call has been answered.
        """
        event_name = checked_name(event_name)
        if slow_consumer not in get_args(SlowConsumer):
            raise ValueError(f"slow_consumer must be one of {get_args(SlowConsumer)}")
        if queue_max < 1:
            raise ValueError("queue_max must be at least 1")
        port, loop = self._port, self._loop
        if port is None or asyncio._get_running_loop() is not loop:
            raise RuntimeError("subscriptions are for the coroutines of a worker that serves")
        subscription = EventSubscription(
            event_name,
            self._reader if port.has_history else None,
            since=since,
            slow_consumer=slow_consumer,
            queue_max=queue_max,
            loads=self._format.loads,
            on_close=self._forget_subscription,
        )
        registration = Registration(
            event_name,
            subscription.take,
            is_on_loop=True,
            is_persistent=True,
            request_handler=request_handler,
            context=copy_context(),
            takes_event=True,
        )
        with self._lock:
            self._subscriptions[subscription] = registration
            self._table.add(registration)
            self._tell_names()
        adopt = getattr(request_handler, "_adopt_subscription", None)
        if adopt is not None:
            adopt(subscription)
        return subscription

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
        event_name = checked_name(event_name)
        payload = encoded_arguments(event_args, self._format)
        port = self._port
        if port is None:
            raise RuntimeError("only a worker that serves can send events; this process is none")
        port.publish(event_name, payload, bool(broadcast))

    # -- for the worker

    def attach(
        self,
        port: EventPort,
        loop: asyncio.AbstractEventLoop,
        open_history: Callable[[], EventHistory] | None = None,
    ) -> None:
        """Begin to send and to receive. The worker calls it, once it is put together.

        Args:
            port: the way to the other workers.
            loop: the loop of the methods' coroutines.
            open_history: opens what the gateways keep of the events; None when this process cannot.
        """
        with self._lock:
            self._port = port
            self._loop = loop
            self._runner = EventRunner(loop)
            self._reader = None if open_history is None else HistoryReader(open_history, loop)
            port.deliver_to(self.receive, self._on_missed)
            self._table.take_changes()
            port.subscribe(dict.fromkeys(self._table.names, True))

    def detach(self) -> None:
        """Neither send nor receive any more. The worker calls it when it ends."""
        with self._lock:
            runner, self._runner, self._port = self._runner, None, None
            reader, self._reader = self._reader, None
        if runner is not None:
            runner.close()
        if reader is not None:
            reader.close()

    def receive(self, event: ArrivedEvent) -> bool:
        """Have everybody called who waits for an event. The port calls it; it does not wait.

        Returns:
            False when nobody waits, so that another worker should have it.
        """
        with self._lock:
            runner = self._runner
            if runner is None:
                return False
            if self._drops(runner):
                return True
            taken = self._table.take(event.name)
            self._tell_names()
        if taken:
            runner.run_all(taken, EventArguments(event, self._format))
        return bool(taken)

    def _on_missed(self) -> None:
        loop = self._loop
        if loop is not None and self._subscriptions:
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(self._tell_missed)

    def _tell_missed(self) -> None:
        for subscription in list(self._subscriptions):
            subscription.missed()

    def _forget_subscription(self, subscription: EventSubscription) -> None:
        with self._lock:
            registration = self._subscriptions.pop(subscription, None)
        self.remove_handler(registration)

    def _drops(self, runner: EventRunner) -> bool:
        was_dropping, self._is_dropping = self._is_dropping, runner.is_full
        if self._is_dropping and not was_dropping:
            _log.error("handlers are too slow for the events that come: dropping events")
        elif was_dropping and not self._is_dropping:
            _log.warning("events are taken again")
        return self._is_dropping

    def _tell_names(self) -> None:
        # Under the lock: of two threads the later one must not be overtaken.
        if self._port is not None and (changes := self._table.take_changes()):
            self._port.subscribe(changes)
