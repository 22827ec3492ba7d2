"""Loading the session of a credential: the hot path of every call that is signed or logged in."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Protocol

from toto._core.stores.breaker import Breaker, StoreFailed
from toto._core.stores.record import SessionRecord
from toto._core.stores.store import SessionStore, StoreUnavailable
from toto_gateway.sessions.store_calls import AsyncStoreGuard

__all__ = [
    "CoalescingLoader",
    "InlineLoader",
    "PooledLoader",
    "SessionLoader",
    "SessionTokens",
    "ThreadLoader",
    "TokenChecks",
]

_log = logging.getLogger("toto.gateway.sessions")

BATCH_MAX = 512
IN_FLIGHT_MAX = 4
"""Batches under way at once; with more, batches get smaller and the store has the same work."""
CLOSE_SECONDS = 1.0
POOL_THREADS = 16
DECODED_MAX = 4096
"""Opened tokens to remember: 30 MB if all are as long as they may be."""

LoadMany = Callable[[Sequence[str]], Awaitable[list[SessionRecord | None]]]
Waiter = asyncio.Future[SessionRecord | None]
Batch = dict[str, list[Waiter]]


class SessionLoader(Protocol):
    """Finds the session that a credential stands for."""

    async def load(self, session_id: str) -> SessionRecord | None:
        """Return the live session, or None for a credential that is unknown, over or garbage.

        Raises:
            StoreUnavailable: nobody can tell.
        """

    async def close(self) -> None:
        """Refuse further loads; a second time does nothing."""


class SessionTokens(Protocol):
    """Reads sessions that travel in the credential itself."""

    def decode(self, token: str) -> SessionRecord | None:
        """Return the session of a genuine token, else None. No I/O."""


class TokenChecks(Protocol):
    """Knows which tokens were ended before they expired."""

    def known(self, record: SessionRecord) -> bool | None:
        """Tell without I/O whether a token was ended; None when the store must be asked."""

    def check(self, record: SessionRecord) -> bool:
        """Ask the store whether a token was ended. Limits the time of its store calls.

        Raises:
            StoreUnavailable: the store has been away for too long to accept tokens unchecked.
        """


class CoalescingLoader:
    """Loads all sessions that are asked for in one turn of the loop by one command.

    It owns the commands: a waiter that is cancelled cancels none. While the most batches are
    under way, what is asked for meanwhile makes the next one.

    Costs 17 us of the loop for a load alone and 8 us with 64 at once [measured, virtual machine
    with 2 cores].

    Args:
        load_many: asks the store for the session of each id, within a time limit of its own.
        breaker: asked before each load, and told how the commands end.
        batch_max: the most ids in one command.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        load_many: LoadMany,
        *,
        breaker: Breaker,
        batch_max: int = BATCH_MAX,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._load_many = load_many
        self._breaker = breaker
        self._batch_max = batch_max
        self._clock = clock
        self._gathered: Batch = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_flush_due = False
        self._is_closed = False

    async def load(self, session_id: str) -> SessionRecord | None:
        """Return the live session of an id, or None.

        Raises:
            StoreUnavailable: the store is away, the command failed, or the loader is closed.
        """
        if self._is_closed or not self._breaker.allows():
            raise StoreUnavailable
        loop = asyncio.get_running_loop()
        waiter: Waiter = loop.create_future()
        self._gathered.setdefault(session_id, []).append(waiter)
        if not self._is_flush_due:
            self._is_flush_due = True
            loop.call_soon(self._flush, loop)
        return await waiter

    async def close(self) -> None:
        """Fail what has not been sent, and let the commands under way end."""
        self._is_closed = True
        self._fail(self._take(len(self._gathered)))
        tasks = tuple(self._tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_flush_due = False
        while self._gathered and len(self._tasks) < IN_FLIGHT_MAX:
            batch = self._take(self._batch_max)
            if batch:
                # Its own context: the log lines of a command belong to no single request.
                task = loop.create_task(self._run(loop, batch), context=Context())
                self._tasks.add(task)

    def _take(self, count: int) -> Batch:
        """Remove the oldest ids; those whose waiters have all left are forgotten."""
        gathered = self._gathered
        if len(gathered) <= count:
            taken, self._gathered = gathered, {}
        else:
            taken = {session_id: gathered.pop(session_id) for session_id in list(gathered)[:count]}
        return {
            session_id: waiters
            for session_id, waiters in taken.items()
            if not all(waiter.done() for waiter in waiters)
        }

    async def _run(self, loop: asyncio.AbstractEventLoop, batch: Batch) -> None:
        try:
            records = await self._load_many(tuple(batch))
            self._answer(batch, records)
            self._breaker.succeeded()
        except StoreUnavailable:
            self._breaker.failed()
            # The breaker is open now, so what waits behind this command is refused like the rest.
            self._fail(self._take(len(self._gathered)))
        except Exception:  # noqa: BLE001  # the edge: every waiter gets an answer
            _log.exception("sessions could not be loaded")
            self._breaker.succeeded()
        finally:
            self._fail(batch)  # whoever has no answer, also when close() cancelled this
            task = asyncio.current_task(loop)
            if task is not None:
                self._tasks.discard(task)
            self._flush(loop)

    def _answer(self, batch: Batch, records: list[SessionRecord | None]) -> None:
        if len(records) != len(batch):
            raise ValueError(f"{len(records)} answers to {len(batch)} ids")
        now = self._clock()
        for waiters, record in zip(batch.values(), records, strict=True):
            live = _live(record, now)
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(live)

    def _fail(self, batch: Batch) -> None:
        for waiters in batch.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_exception(StoreUnavailable())


class ThreadLoader(CoalescingLoader):
    """Loads sessions from a store whose driver blocks, in threads.

    Args:
        store: keeps the sessions.
        calls: runs the store's calls; stays open when the loader is closed.
        batch_max: the most ids in one call of the store.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        store: SessionStore,
        calls: AsyncStoreGuard,
        *,
        batch_max: int = BATCH_MAX,
        clock: Callable[[], float] = time.time,
    ) -> None:
        def load_many(session_ids: Sequence[str]) -> Awaitable[list[SessionRecord | None]]:
            return calls.call_allowed(store.load, session_ids)

        super().__init__(load_many, breaker=calls.breaker, batch_max=batch_max, clock=clock)


class PooledLoader:
    """Loads sessions one by one in threads: from a user's own cache, which knows no batches.

    Args:
        store: keeps the sessions.
        timeout_seconds: longest wait for a load.
        breaker: refuses loads while the store is away.
        threads: the most loads at once.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        store: SessionStore,
        *,
        timeout_seconds: float,
        breaker: Breaker,
        threads: int = POOL_THREADS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._clock = clock
        self._calls = AsyncStoreGuard(
            timeout_seconds, is_remote=True, breaker=breaker, threads=threads
        )

    async def load(self, session_id: str) -> SessionRecord | None:
        """Return the live session of an id, or None.

        Raises:
            StoreUnavailable: the store is away, or failed.
        """
        (record,) = await self._calls.call(self._load, session_id)
        return _live(record, self._clock())

    async def close(self) -> None:
        """End the threads."""
        self._calls.close()

    def _load(self, session_id: str) -> list[SessionRecord | None]:
        try:
            return self._store.load((session_id,))
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  # a user's cache may raise anything
            # Its text is not logged: it may quote the session id.
            _log.error("a session could not be loaded: %s", type(error).__name__)
            raise StoreFailed from None


class InlineLoader:
    """Reads sessions from the credentials themselves, and asks whether they were ended early.

    Args:
        tokens: reads the credentials.
        revocations: knows the tokens that were ended.
        calls: runs the checks; stays open when the loader is closed.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        tokens: SessionTokens,
        revocations: TokenChecks,
        calls: AsyncStoreGuard,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tokens = tokens
        self._revocations = revocations
        self._calls = calls
        self._clock = clock
        self._decoded: OrderedDict[str, SessionRecord] = OrderedDict()

    async def load(self, session_id: str) -> SessionRecord | None:
        """Return the live session of a token, or None.

        Raises:
            StoreUnavailable: whether it was ended cannot be found out.
        """
        record = _live(self._decode(session_id), self._clock())
        if record is None:
            return None
        is_revoked = self._revocations.known(record)
        if is_revoked is None:
            # The breaker is not asked: it is the check that decides what an absent store means.
            is_revoked = await self._calls.run(self._revocations.check, record)
        return None if is_revoked else record

    async def close(self) -> None:
        """Do nothing: there is nothing of its own to close."""

    def _decode(self, token: str) -> SessionRecord | None:
        # The same token is genuine every time; to open it takes longer than the rest of a load.
        record = self._decoded.get(token)
        if record is not None:
            self._decoded.move_to_end(token)
            return record
        record = self._tokens.decode(token)
        if record is not None:
            self._decoded[token] = record
            if len(self._decoded) > DECODED_MAX:
                self._decoded.popitem(last=False)
        return record


def _live(record: SessionRecord | None, now: float) -> SessionRecord | None:
    return record if record is not None and record.expires > now else None
