"""A time limit for store calls: drivers block, and some of them for minutes on a silent network.

A call that has passed its limit cannot be stopped. It is left to a daemon thread, which keeps
neither its caller nor the end of the process waiting.
"""

import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

from toto._core.stores.breaker import Breaker
from toto._core.stores.store import StoreUnavailable

__all__ = ["GUARD_THREADS", "DaemonThreads", "Job", "StoreGuard"]

P = ParamSpec("P")
T = TypeVar("T")

GUARD_THREADS = 8
"""Calls at once of one process to one store."""
_WAITING, _RUNNING, _ENDED, _GIVEN_UP = range(4)


class Job:
    """One call that a thread makes for somebody who waits.

    Args:
        call: what to call.
        on_end: called in the thread after ``call`` has ended, unless the job was given up.
    """

    __slots__ = ("call", "error", "on_end", "result", "state")

    def __init__(self, call: Callable[[], Any], on_end: Callable[[], object]) -> None:
        self.call = call
        self.on_end = on_end
        self.state = _WAITING
        self.result: Any = None
        self.error: BaseException | None = None

    def outcome(self) -> Any:
        """Return what the call returned, or raise what it raised."""
        if self.error is None:
            return self.result
        try:
            raise self.error
        finally:
            self.error = None  # the traceback holds this frame: a cycle


class DaemonThreads:
    """A bounded number of daemon threads, started when they are needed.

    Args:
        count: the most threads.
        name: what their names begin with.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._unfinished = 0
        self._stuck = 0
        self._is_closed = False

    @property
    def can_run(self) -> bool:
        """Whether a thread is or comes free: False when all run jobs that were given up."""
        return self._stuck < self._count and not self._is_closed

    def run(self, job: Job) -> bool:
        """Have a job done as soon as a thread is free; False when ``can_run`` is."""
        with self._lock:
            if not self.can_run:
                return False
            if self._unfinished >= len(self._threads) < self._count:
                self._start_thread()
            self._unfinished += 1
        self._queue.put(job)
        return True

    def give_up(self, job: Job) -> bool:
        """Wait for a job no longer; False when it has ended already."""
        with self._lock:
            if job.state == _ENDED:
                return False
            self._stuck += job.state == _RUNNING
            job.state = _GIVEN_UP
            return True

    def close(self, timeout_seconds: float) -> None:
        """End the threads, but wait no longer than this for those that are stuck."""
        with self._lock:
            threads, self._threads = self._threads, []
            self._is_closed = True
        for _ in threads:
            self._queue.put(None)
        give_up_at = time.monotonic() + timeout_seconds
        for thread in threads:
            thread.join(max(0.0, give_up_at - time.monotonic()))

    def _start_thread(self) -> None:
        name = f"{self._name}-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            if self._begin(job):
                try:
                    job.result = job.call()
                except BaseException as error:  # noqa: BLE001  # it belongs to whoever waits
                    job.error = error
                if self._end(job):
                    job.on_end()
            del job  # an idle thread must not keep the last result alive

    def _begin(self, job: Job) -> bool:
        with self._lock:
            if job.state == _GIVEN_UP:
                self._unfinished -= 1
                return False
            job.state = _RUNNING
            return True

    def _end(self, job: Job) -> bool:
        with self._lock:
            self._unfinished -= 1
            if job.state == _GIVEN_UP:
                self._stuck -= 1
                return False
            job.state = _ENDED
            return True


class StoreGuard:
    """Makes store calls for threads that must not wait longer than a given time.

    Costs 0.3 us a call to a local store, 24 us to a remote one, and up to 120 us when the thread
    wakes on an idle core [measured, virtual machine with 2 cores].

    Args:
        timeout_seconds: longest wait for one call, the wait for a free thread included.
        is_remote: whether calls may hang; those of a local store are made directly.
        breaker: refuses calls while the store is away.
        threads: the most calls at once.
    """

    def __init__(
        self,
        timeout_seconds: float,
        *,
        is_remote: bool,
        breaker: Breaker,
        threads: int = GUARD_THREADS,
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._is_remote = is_remote
        self._breaker = breaker
        self._threads = DaemonThreads(threads, "toto-store")

    def call(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the function returns, or raise what it raises.

        Raises:
            StoreUnavailable: the store is away, or did not answer in time; the call may still
                take effect.
        """
        if not self._is_remote:
            return fn(*args, **kwargs)
        if not self._threads.can_run or not self._breaker.allows():
            raise StoreUnavailable
        ended = threading.Lock()
        ended.acquire()
        job = Job(partial(copy_context().run, fn, *args, **kwargs), ended.release)
        if not self._threads.run(job):
            raise StoreUnavailable
        if not ended.acquire(timeout=self._timeout_seconds) and self._threads.give_up(job):
            self._breaker.failed()
            raise StoreUnavailable
        self._breaker.ended(job.error)
        result: T = job.outcome()
        return result

    def close(self) -> None:
        """Refuse further calls to a remote store and end the threads, stuck ones excepted."""
        self._threads.close(self._timeout_seconds)
