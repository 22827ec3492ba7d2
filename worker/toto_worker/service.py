"""One worker process: the methods, the executor and the transport, put together and run."""

import asyncio
import gc
import importlib.util
import logging
import math
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from toto._core.child import ChildContext
from toto._core.formats.registry import FormatRegistry
from toto._core.logs import configure_logging
from toto._core.request_signatures import RequestSignatures
from toto._core.settings import SettingsError
from toto._core.startup import StartupError, run_startup_function
from toto._core.stopping import stop_wanted
from toto._core.stores.fingerprint import store_fingerprint
from toto._core.stores.open import open_stores
from toto._core.stores.open_event_history import open_event_history
from toto._core.supervisor import EXIT_STARTUP
from toto._wire.messages import MethodInfo
from toto.events import EventManager
from toto_worker.event_init import run_event_init_module
from toto_worker.event_link import EventLink
from toto_worker.executor import Executor
from toto_worker.loader import LoadError, load_methods
from toto_worker.sessions import SessionServices
from toto_worker.settings import WorkerSettings
from toto_worker.transport import Transport, TransportSettings

if TYPE_CHECKING:
    from toto_worker.methods import Method, MethodTable

__all__ = ["WorkerProcess", "run_worker_process"]

_log = logging.getLogger("toto.worker")

CANCEL_SECONDS = 1.0
"""What cancelled calls may take before the process ends under them."""


class WorkerProcess:
    """Serves calls until it is told to stop.

    Args:
        settings: the command's options.
        methods: what to serve.
        sessions: accounts, sessions and signatures.
        on_live: called once, when the first gateway has accepted this worker.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        methods: "MethodTable",
        sessions: SessionServices,
        *,
        on_live: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._methods = methods
        self._sessions = sessions
        self._on_live = on_live

    async def serve(self, *, parent_pipe: int | None = None) -> None:
        """Run until SIGTERM, or until the supervisor at the other end of the pipe is gone."""
        loop = asyncio.get_running_loop()
        stop = stop_wanted(loop, parent_pipe)
        settings = self._settings
        executor = Executor(
            self._methods,
            FormatRegistry(
                msgpack_enabled=True, bson_enabled=importlib.util.find_spec("bson") is not None
            ),
            sessions=self._sessions,
            threads=settings.threads,
            loop=loop,
            debug=settings.debug,
        )
        transport = Transport(
            TransportSettings(
                endpoints=settings.connect,
                methods=tuple(_announced(method) for method in self._methods.values()),
                threads=settings.threads,
                loop_slots=settings.coroutines,
                stores=store_fingerprint(settings),
            ),
            loop=loop,
            on_start=executor.submit,
            on_live=self._on_live,
            parent_pipe=parent_pipe,
            orphan_seconds=settings.graceful_timeout + 2 * CANCEL_SECONDS,
        )
        events = EventManager.instance()
        events.attach(
            EventLink(transport.desk.events, transport.post),
            loop,
            partial(open_event_history, settings, length=0),
        )
        executor.start(transport)
        transport.start()
        await stop.wait()
        await self._drain(loop, transport)
        executor.stop()
        events.detach()
        await loop.run_in_executor(None, transport.stop)

    async def _drain(self, loop: asyncio.AbstractEventLoop, transport: Transport) -> None:
        drained = asyncio.Event()
        transport.drain(lambda: loop.call_soon_threadsafe(drained.set))
        try:
            async with asyncio.timeout(self._settings.graceful_timeout):
                await drained.wait()
        except TimeoutError:
            _log.warning("calls still run after %g s", self._settings.graceful_timeout)
            transport.cancel_all()
            try:
                async with asyncio.timeout(CANCEL_SECONDS):
                    await drained.wait()
            except TimeoutError:
                _log.warning("calls do not end; leaving without them")


def _announced(method: "Method") -> MethodInfo:
    traits = method.traits
    milliseconds = math.ceil(traits.timeout_seconds * 1000)
    return MethodInfo(method.name, method.kind.lane, traits.policy, milliseconds)


def run_worker_process(settings: WorkerSettings, name: str, context: ChildContext) -> int:
    """Run in a fork of the supervisor; return the exit code."""
    configure_logging(name, level=settings.log_level, log_format=settings.log_format)
    try:
        methods = load_methods(
            settings.methods,
            app_dir=settings.app_dir,
            only=settings.only,
            exclude=settings.exclude,
        )
    except LoadError as error:
        sys.stderr.write(f"{error.traceback_text}toto-worker: error: {error}\n")
        return EXIT_STARTUP
    try:
        stores = open_stores(settings)
    except SettingsError as error:
        sys.stderr.write(f"toto-worker: error: {error}\n")
        return EXIT_STARTUP
    try:
        run_startup_function(
            settings.startup_function, app_dir=settings.app_dir, db_connection=stores.connection
        )
        run_event_init_module(
            settings.event_init_module, app_dir=settings.app_dir, manager=EventManager.instance()
        )
    except StartupError as error:
        sys.stderr.write(f"{error.traceback_text}toto-worker: error: {error}\n")
        return EXIT_STARTUP
    sessions = SessionServices(stores.connection, RequestSignatures.of(settings))
    gc.freeze()  # what is loaded by now stays, and need not be looked at again
    process = WorkerProcess(settings, methods, sessions, on_live=context.ready)
    try:
        asyncio.run(process.serve(parent_pipe=context.parent_pipe))
    finally:
        stores.close()
    return 0
