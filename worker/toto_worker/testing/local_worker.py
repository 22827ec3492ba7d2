"""One worker for one call: an executor, an event loop in a thread of its own, and no sockets."""

import asyncio
import importlib.util
import threading
from collections.abc import Callable
from concurrent.futures import Future

from toto._core.formats.registry import FormatRegistry
from toto._core.timing import MethodTimes
from toto._wire.messages import RequestInfo
from toto.events import EventManager
from toto_worker.calls import CallDesk
from toto_worker.ports import LinkPort
from toto_worker.sessions import SessionServices
from toto_worker.slots import SlotTable
from toto_worker.testing.local_events import LocalEvents, Sent
from toto_worker.testing.local_executor import LocalExecutor, OnError
from toto_worker.testing.local_gateway import ENDING_SECONDS, LocalGateway
from toto_worker.testing.local_link import LocalTransport
from toto_worker.testing.outcome import Outcome
from toto_worker.testing.targets import LocalMethods

__all__ = ["LocalWorker", "all_formats"]


def all_formats() -> FormatRegistry:
    """Return every format that is installed here."""
    has_bson = importlib.util.find_spec("bson") is not None
    return FormatRegistry(msgpack_enabled=True, bson_enabled=has_bson)


class LocalWorker:
    """Runs calls, each on an event loop of its own: a test may have one itself.

    Args:
        methods: what may be called.
        sessions: accounts and sessions.
        formats: the enabled formats.
        debug: put the text of exceptions into errors.
        on_error: told of exceptions that nobody meant.
    """

    def __init__(
        self,
        methods: LocalMethods,
        sessions: SessionServices,
        formats: FormatRegistry,
        *,
        debug: bool,
        on_error: OnError,
    ) -> None:
        self._methods = methods
        self._sessions = sessions
        self._formats = formats
        self._debug = debug
        self._on_error = on_error
        self.sent_events: list[Sent] = []
        """What methods have sent so far."""

    def call(self, method: str, body: bytes, info: RequestInfo, timeout_seconds: float) -> Outcome:
        """Run one call, and return how it ended.

        Raises:
            TimeoutError: a coroutine blocks the event loop for longer than the time limit.
        """
        ended: Future[Outcome] = Future()

        def run() -> None:
            try:
                ended.set_result(asyncio.run(self._serve(method, body, info, timeout_seconds)))
            except BaseException as error:  # noqa: BLE001  # whoever waits gets it
                ended.set_exception(error)

        thread = threading.Thread(target=run, name="toto-test-call", daemon=True)
        thread.start()
        try:
            outcome = ended.result(timeout_seconds + 4 * ENDING_SECONDS)
        except TimeoutError:
            text = f"{method} has not returned after {timeout_seconds} s: it blocks the event loop"
            raise TimeoutError(text) from None
        thread.join()
        return outcome

    async def _serve(
        self, method: str, body: bytes, info: RequestInfo, timeout_seconds: float
    ) -> Outcome:
        loop = asyncio.get_running_loop()
        executor = LocalExecutor(
            self._methods,
            self._formats,
            sessions=self._sessions,
            threads=1,
            loop=loop,
            debug=self._debug,
            on_error=self._on_error,
        )
        desk = _desk(loop, executor.submit)
        gateway = LocalGateway(desk, self._methods, self._formats)
        executor.start(LocalTransport(desk, loop))
        events = EventManager.instance()
        events.attach(LocalEvents(loop, self.sent_events), loop)
        try:
            return await gateway.call(method, body, info, timeout_seconds)
        finally:
            executor.stop()
            await asyncio.to_thread(executor.join, ENDING_SECONDS)
            events.detach()


def _desk(loop: asyncio.AbstractEventLoop, on_start: Callable[..., None]) -> CallDesk:
    slots: SlotTable[LinkPort] = SlotTable(threads=1, loop_slots=1, is_fast=lambda _: False)
    return CallDesk(slots, MethodTimes(), loop=loop, on_start=on_start)
