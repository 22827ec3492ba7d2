"""Calls the handlers of events: on the worker's event loop, or in a few threads of their own."""

import asyncio
import contextlib
import inspect
import logging
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Any

from toto._core.event_port import ArrivedEvent
from toto._core.event_table import Registration
from toto._core.formats.format import Format
from toto._core.stores.guard import DaemonThreads, Job

__all__ = ["EventArguments", "EventRunner"]

_log = logging.getLogger("toto.events")

EVENT_THREADS = 4
"""Handlers that run in threads at once."""
WAITING_BYTES_MAX = 32 * 1024 * 1024
"""Arguments of calls that have not ended: handlers may be slower than events come."""
RUNS_AT_ONCE = 200
"""Handlers called in one turn of the event loop."""
CALL_BYTES = 256
"""What a call that waits costs beyond its arguments."""


class EventArguments:
    """What an event carries, decoded when the first handler is called. All get the same object."""

    __slots__ = ("_format", "_is_decoded", "_lock", "_payload", "_value", "cursor", "size")

    def __init__(self, event: ArrivedEvent, body_format: Format) -> None:
        self.cursor = event.cursor
        self.size = len(event.payload) + CALL_BYTES
        self._payload = event.payload
        self._format = body_format
        self._lock = threading.Lock()
        self._is_decoded = False
        self._value: Any = None

    def value(self) -> Any:
        """Return the arguments.

        Raises:
            MalformedBody: they are not what ``send`` makes.
        """
        with self._lock:
            if not self._is_decoded:
                self._value = self._format.loads(self._payload)
                self._is_decoded = True
                self._payload = b""
            return self._value


@dataclass(frozen=True, slots=True)
class _Run:
    registration: Registration
    arguments: EventArguments
    context: Context


class EventRunner:
    """Calls handlers in the order in which it is told to.

    On the loop they begin in that order. In the threads that holds for each persistent handler,
    which is called once at a time; different handlers run side by side.

    Args:
        loop: the worker's event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._threads = DaemonThreads(EVENT_THREADS, "toto-event")
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = threading.Lock()
        self._waiting: dict[Registration, deque[_Run]] = {}
        self._waiting_bytes = 0

    @property
    def is_full(self) -> bool:
        """True while handlers are so far behind that events have to be dropped."""
        return self._waiting_bytes > WAITING_BYTES_MAX

    def run_all(self, registrations: Iterable[Registration], arguments: EventArguments) -> None:
        """Have the handlers of an event called soon."""
        on_loop = []
        for registration in registrations:
            run = _Run(registration, arguments, registration.context.copy())
            with self._lock:
                self._waiting_bytes += arguments.size
            if registration.is_on_loop:
                on_loop.append(run)
            elif self._is_first(run):
                self._start(run)
        if on_loop:
            # Together: waking the loop costs a system call, and thousands may wait for one event.
            self._post(self._run_on_loop, on_loop)

    def _is_first(self, run: _Run) -> bool:
        """Tell whether a handler may start; a persistent one waits for its last call."""
        if not run.registration.is_persistent:
            return True
        with self._lock:
            waiting = self._waiting.setdefault(run.registration, deque())
            waiting.append(run)
            return len(waiting) == 1

    def close(self) -> None:
        """End the threads. A handler that does not return keeps its (daemon) thread."""
        self._threads.close(0)

    # -- threads

    def _start(self, run: _Run) -> None:
        self._threads.run(Job(partial(self._run_in_thread, run), _nothing))

    def _run_in_thread(self, run: _Run) -> None:
        # Handlers may ask for "the" event loop, as methods may.
        asyncio.set_event_loop(self._loop)
        result = _call(run)
        if inspect.isawaitable(result):
            self._post(self._await, run, result)
        else:
            self._count_out(run)
        if run.registration.is_persistent:
            self._start_next(run.registration)

    def _start_next(self, registration: Registration) -> None:
        with self._lock:
            waiting = self._waiting[registration]
            waiting.popleft()
            if not waiting:
                del self._waiting[registration]
                return
            run = waiting[0]
        self._start(run)

    # -- the event loop

    def _post(self, function: Any, *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(function, *arguments)

    def _run_on_loop(self, runs: Sequence[_Run]) -> None:
        for place, run in enumerate(runs):
            if place == RUNS_AT_ONCE:
                self._loop.call_soon(self._run_on_loop, runs[place:])
                return
            result = _call(run)
            if inspect.isawaitable(result):
                self._await(run, result)
            else:
                self._count_out(run)

    def _await(self, run: _Run, result: Any) -> None:
        task = self._loop.create_task(self._awaited(run, result), context=run.context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _awaited(self, run: _Run, result: Any) -> None:
        try:
            await result
        except asyncio.CancelledError:
            _log.debug("a handler of the event %r was cancelled", run.registration.name)
        except BaseException:  # noqa: BLE001  # the edge: it is the user's code
            _log_failure(run)
        finally:
            self._count_out(run)

    def _count_out(self, run: _Run) -> None:
        with self._lock:
            self._waiting_bytes -= run.arguments.size


def _call(run: _Run) -> Any:
    registration = run.registration
    try:
        # Its request may have ended while it waited for its turn.
        if registration.is_over:
            return None
        argument = run.arguments if registration.takes_event else run.arguments.value()
        return run.context.run(registration.function, argument)
    except BaseException:  # noqa: BLE001  # the edge: it is the user's code
        _log_failure(run)
        return None


def _log_failure(run: _Run) -> None:
    log = partial(_log.exception, "a handler of the event %r failed", run.registration.name)
    # A task runs in this context already, which cannot be entered twice.
    run.context.copy().run(log)


def _nothing() -> None:
    """Nobody waits for the end of a handler."""
