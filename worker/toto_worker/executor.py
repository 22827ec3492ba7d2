"""Runs methods: functions and generators in threads, coroutines on the event loop."""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import inspect
import logging
import queue
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

from toto._core.failure import Failure
from toto._core.formats.registry import FormatRegistry
from toto._core.logs import REQUEST_ID
from toto._core.stores.guard import DaemonThreads, Job
from toto._core.stores.store import StoreUnavailable
from toto._core.traits import NO_TRAITS
from toto._wire.constants import Lane, Policy
from toto_worker.answers import AnswerEncoder
from toto_worker.asking import CallAsker
from toto_worker.call import WorkerCall
from toto_worker.methods import Method, MethodKind, MethodTable
from toto_worker.ports import TransportPort
from toto_worker.response import CallResponse
from toto_worker.runs import Run, make_run
from toto_worker.sessions import SessionServices
from toto_worker.window import CallCancelled

__all__ = ["Executor"]

_log = logging.getLogger("toto.method")

SESSION_POLICIES = Policy.SESSION | Policy.CREATES
PREPARING_THREADS = 4
"""Sessions that coroutines on the loop wait for at once; a store answers within milliseconds."""


class Executor:
    """The threads and the event loop that methods run in.

    Args:
        methods: what may be called.
        formats: how parameters are decoded and results encoded.
        sessions: accounts, sessions and signatures.
        threads: how many methods run in threads at once.
        loop: the loop for coroutines; it runs in the main thread.
        debug: tell clients the text of unexpected exceptions.
        make_encoder: makes what encodes the answer of a call.
    """

    def __init__(
        self,
        methods: MethodTable,
        formats: FormatRegistry,
        *,
        sessions: SessionServices,
        threads: int,
        loop: asyncio.AbstractEventLoop,
        debug: bool,
        make_encoder: Callable[..., AnswerEncoder] = AnswerEncoder,
    ) -> None:
        self._make_encoder = make_encoder
        self._methods = methods
        self._session_services = sessions
        self._formats = formats
        self._loop = loop
        self._debug = debug
        self._transport: TransportPort | None = None
        self._queue: queue.SimpleQueue[Run | None] = queue.SimpleQueue()
        # Not the loop's own threads: methods may keep those busy for as long as they like.
        self._preparing = DaemonThreads(PREPARING_THREADS, "toto-session")
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads = [
            threading.Thread(target=self._work, name=f"toto-method-{n}", daemon=True)
            for n in range(threads)
        ]

    def start(self, transport: TransportPort) -> None:
        """Start the threads; answers go through ``transport``."""
        self._transport = transport
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let idle threads end. A method that does not return keeps its (daemon) thread."""
        for _ in self._threads:
            self._queue.put(None)
        self._preparing.close(0)

    def submit(self, call: WorkerCall) -> None:
        """Have a call run; called by the transport thread."""
        if self._transport is None:
            raise RuntimeError("the executor has not been started")
        message = call.message
        method = self._methods.get(message.method)
        sessions = self._session_services.for_call(message.request, call.body())
        encoder = self._make_encoder(
            message.method,
            message.request,
            self._formats,
            NO_TRAITS if method is None else method.traits,
            sessions,
            debug=self._debug,
        )
        response = CallResponse(call, self._transport, encoder, loop=self._loop)
        failure = _reason_not_to_start(call, method)
        if failure is not None or method is None:
            response.refuse(failure or Failure.invalid_method(message.method))
            response.close(0)
            return
        asker = CallAsker(call, self._transport, response, sessions, self._formats, loop=self._loop)
        self._begin(make_run(call, method, response, sessions, asker, self._formats))

    def _begin(self, run: Run) -> None:
        message = run.call.message
        if message.lane != Lane.THREAD:
            self._loop.call_soon_threadsafe(self._start_task, run)
        elif message.is_extra:
            # Beside the fixed threads: one of them waits for this call.
            work = threading.Thread(
                target=self._run_beside, args=(run,), name="toto-method-extra", daemon=True
            )
            work.start()
        else:
            self._queue.put(run)

    # -- threads

    def _work(self) -> None:
        # Methods may ask for "the" event loop; it is the one their coroutines run on.
        asyncio.set_event_loop(self._loop)
        run = self._queue.get()
        while run is not None:
            self._run_in_thread(run)
            run = None  # its body must not outlast it until the next call comes
            run = self._queue.get()

    def _run_beside(self, run: Run) -> None:
        asyncio.set_event_loop(self._loop)
        self._run_in_thread(run)

    def _run_in_thread(self, run: Run) -> None:
        REQUEST_ID.set(run.request_id)
        started = time.perf_counter_ns()
        if run.method.on_connection_close is not None:
            run.call.on_cancel(lambda: self._call_close_hook(run))
        try:
            run.begin()
            if run.call.is_cancelled:
                raise CallCancelled
            result = run.method.invoke(run.handler, run.parameters())
            if inspect.isgenerator(result):
                _stream(result, run)
            elif inspect.isawaitable(result):
                run.response.complete(self._await_from_thread(result, run.call))
            else:
                run.response.complete(result)
        except (CallCancelled, concurrent.futures.CancelledError):
            _log.debug("%s cancelled", run.method.name)
        except BaseException as error:  # noqa: BLE001  # the edge: methods may raise anything
            _report(error, run)
        finally:
            run.end(_microseconds_since(started))
            REQUEST_ID.set("")

    def _await_from_thread(self, awaitable: Any, call: WorkerCall) -> Any:
        async def waiting() -> Any:
            return await awaitable

        future = asyncio.run_coroutine_threadsafe(waiting(), self._loop)
        call.on_cancel(lambda: _cancel(future))
        return future.result()

    # -- the event loop

    def _start_task(self, run: Run) -> None:
        task = self._loop.create_task(self._run_on_loop(run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        run.call.on_cancel(lambda: self._cancel_task(run, task), closes_window=False)

    def _cancel_task(self, run: Run, task: asyncio.Task[None]) -> None:
        if run.method.on_connection_close is not None:
            self._call_close_hook(run)
        self._loop.call_soon_threadsafe(task.cancel)

    async def _run_on_loop(self, run: Run) -> None:
        REQUEST_ID.set(run.request_id)
        started = time.perf_counter_ns()
        try:
            run.begin()
            if run.call.is_cancelled:
                raise CallCancelled
            parameters = run.parameters()
            if run.method.traits.policy & SESSION_POLICIES:
                # The decorators may need the database, for which the loop must not wait.
                await self._prepare(run)
            result = run.method.invoke(run.handler, parameters)
            if inspect.isasyncgen(result):
                await _stream_async(result, run)
            elif inspect.isgenerator(result):
                await _stream_on_loop(result, run)
            else:
                if inspect.isawaitable(result):
                    result = await result
                await _settle(result, run)
        except (CallCancelled, asyncio.CancelledError) as error:
            if not run.call.is_cancelled and not run.response.has_ended:
                _report(error, run)
        except BaseException as error:  # noqa: BLE001  # the edge: methods may raise anything
            _report(error, run)
        finally:
            run.end(_microseconds_since(started))

    async def _prepare(self, run: Run) -> None:
        ended: asyncio.Future[None] = self._loop.create_future()

        def set_ended() -> None:
            if not ended.done():
                ended.set_result(None)

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                self._loop.call_soon_threadsafe(set_ended)

        context = contextvars.copy_context()  # log lines of the thread name the request as well
        job = Job(lambda: context.run(run.sessions.prepare, run.method.traits.policy), wake)
        if not self._preparing.run(job):
            raise StoreUnavailable
        await ended
        job.outcome()

    def _call_close_hook(self, run: Run) -> None:
        """Call the module's ``on_connection_close``, on the loop as Toto did, once."""
        if run.response.has_ended or not run.call.is_client_gone:
            return

        def call_hook() -> None:
            REQUEST_ID.set(run.request_id)
            run.on_client_gone()

        self._loop.call_soon_threadsafe(call_hook)


def _report(error: BaseException, run: Run) -> None:
    """Make the exception the call's answer; if even that fails, the answer is a plain 1000."""
    try:
        run.response.fail(error)
    except BaseException:  # noqa: BLE001  # the user's exception classes may do anything
        _log.exception("the error of %s cannot be reported", run.method.name)


def _cancel(future: concurrent.futures.Future[Any]) -> None:
    future.cancel()


async def _settle(result: Any, run: Run) -> None:
    """A method on the loop is through: answer with its result, or wait for its own answer."""
    await run.response.flush()
    if result is None and run.method.kind is MethodKind.ASYNCHRONOUS:
        await run.response.wait_ended()
        await run.response.flush()
    else:
        run.response.complete(result)


def _stream(generator: Generator[Any, Any, Any], run: Run) -> None:
    try:
        for item in generator:
            if run.call.is_cancelled:
                raise CallCancelled
            run.response.send_item(item)
        run.response.complete_stream()
    finally:
        generator.close()


async def _stream_async(generator: AsyncGenerator[Any, Any], run: Run) -> None:
    try:
        async for item in generator:
            await run.response.send_item_async(item)
        run.response.complete_stream()
    finally:
        await generator.aclose()


async def _stream_on_loop(generator: Generator[Any, Any, Any], run: Run) -> None:
    try:
        for item in generator:
            await run.response.send_item_async(item)
        run.response.complete_stream()
    finally:
        generator.close()


def _reason_not_to_start(call: WorkerCall, method: Method | None) -> Failure | None:
    if method is None:
        return Failure.invalid_method(call.message.method)
    if time.monotonic() >= call.deadline:
        return Failure.deadline()
    return None


def _microseconds_since(started_nanoseconds: int) -> int:
    return max(1, (time.perf_counter_ns() - started_nanoseconds) // 1000)
