"""Store calls of the event loop: in threads, with a time limit."""

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, ParamSpec, TypeVar

from toto._core.stores.breaker import Breaker
from toto._core.stores.guard import GUARD_THREADS, DaemonThreads, Job
from toto._core.stores.store import StoreUnavailable

__all__ = ["AsyncStoreGuard"]

P = ParamSpec("P")
T = TypeVar("T")

_STORE_CALLS_MAX = 2
"""Of one function that ``run`` is given: accounts and counters may both be away."""


class AsyncStoreGuard:
    """Makes blocking store calls for coroutines. A cancelled waiter does not disturb the call.

    Costs 70 to 180 us for a call alone, and 27 us (local) or 36 us (remote) with 64 at once, of
    which the loop pays 20 and 26 us [measured, virtual machine with 2 cores].

    Args:
        timeout_seconds: longest wait for one call, the wait for a free thread included.
        is_remote: whether calls may hang. Those of a local store have neither limit nor breaker
            with ``call``; ``run`` has its limit for any store, since a user's own may be behind it.
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
        self.breaker = breaker
        self._timeout_seconds = timeout_seconds
        self._is_remote = is_remote
        self._threads = DaemonThreads(threads, "toto-gateway-store")

    async def call(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the function returns, or raise what it raises.

        Raises:
            StoreUnavailable: the store is away, or did not answer in time; the call may still
                take effect.
        """
        if self._is_remote and not (self._threads.can_run and self.breaker.allows()):
            raise StoreUnavailable
        return await self.call_allowed(fn, *args, **kwargs)

    async def call_allowed(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do the same for a caller who has asked the breaker already.

        Raises:
            StoreUnavailable: as with ``call``.
        """
        call = partial(fn, *args, **kwargs)
        if not self._is_remote:
            result: T = await self._run(call, None, _ignore)
            return result
        result = await self._run(call, self._timeout_seconds, self.breaker.ended)
        return result

    async def run(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do the same for a function that limits its own store calls, as this would.

        The breaker is neither asked nor told. Only after three times the time limit is the
        function given up: it must have time to act on two store calls that failed.

        Raises:
            StoreUnavailable: all threads are stuck, or the function itself is.
        """
        call = partial(fn, *args, **kwargs)
        timeout_seconds = (_STORE_CALLS_MAX + 1) * self._timeout_seconds
        result: T = await self._run(call, timeout_seconds, _ignore)
        return result

    def close(self) -> None:
        """Refuse further calls and end the threads, stuck ones excepted."""
        self._threads.close(self._timeout_seconds)

    async def _run(
        self,
        call: Callable[[], Any],
        timeout_seconds: float | None,
        report: Callable[[BaseException | None], None],
    ) -> Any:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        timer: asyncio.TimerHandle | None = None

        # Both report even when the waiter was cancelled: a probe's outcome must not be lost.
        def on_end() -> None:
            if timer is not None:
                timer.cancel()
            report(job.error)
            if not ended.done():
                ended.set_result(None)

        def on_time_limit() -> None:
            if self._threads.give_up(job):
                report(StoreUnavailable())
                if not ended.done():
                    ended.set_exception(StoreUnavailable())

        job = Job(partial(copy_context().run, call), partial(_wake, loop, on_end))
        if not self._threads.run(job):
            raise StoreUnavailable
        if timeout_seconds is not None:
            timer = loop.call_later(timeout_seconds, on_time_limit)
        await ended
        return job.outcome()


def _wake(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:  # the loop has closed, so nobody waits
        return


def _ignore(error: BaseException | None) -> None:
    """Stand for a report that nobody wants."""
