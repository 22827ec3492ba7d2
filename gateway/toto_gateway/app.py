"""The composition root of a gateway process: settings in, a server out."""

import asyncio
import gc
import logging
import secrets
import socket
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import zmq

from toto._core.child import ChildContext
from toto._core.formats.limits import DecodeLimits
from toto._core.formats.registry import FormatRegistry
from toto._core.logs import configure_logging
from toto._core.parameters import decode_parameters
from toto._core.request_signatures import RequestSignatures
from toto._core.settings import SettingsError
from toto._core.siblings import process_endpoint
from toto._core.startup import StartupError, run_startup_function
from toto._core.stores.fingerprint import store_fingerprint
from toto._core.stores.open import Stores, open_stores, preload
from toto._core.stores.open_event_history import open_event_history
from toto._core.supervisor import EXIT_STARTUP
from toto_gateway.admission import Admission, nested_refusal
from toto_gateway.authentication import Authenticator
from toto_gateway.batch_sessions import BatchSessions
from toto_gateway.calls import Calls
from toto_gateway.decoding import Decoder
from toto_gateway.dispatch.client import DispatchClient
from toto_gateway.dispatch.event_bus import CheckLink, EventBus, SendToWorker
from toto_gateway.dispatch.links import WorkerLinks
from toto_gateway.dispatch.nested import NestedCalls
from toto_gateway.events.recorder import EventRecorder
from toto_gateway.http.client_address import ClientAddress
from toto_gateway.http.cors import CorsPolicy
from toto_gateway.http.front import CallFront, FrontState, Mounts
from toto_gateway.http.probes import Probes
from toto_gateway.pipeline import Pipeline, PipelineSettings
from toto_gateway.server import GatewayServer
from toto_gateway.session_answers import SessionAnswers
from toto_gateway.sessions.changes import save_changes
from toto_gateway.sessions.cookies import SessionCookie
from toto_gateway.sessions.csrf import CsrfPolicy
from toto_gateway.sessions.gateway_sessions import GatewaySessions, open_gateway_sessions
from toto_gateway.settings import GatewaySettings
from toto_gateway.websocket.conversation import SocketServices
from toto_gateway.websocket.endpoint import SocketEndpoint
from toto_gateway.websocket.upgrade import UpgradePolicy

if TYPE_CHECKING:
    from toto_gateway.http.static_files import StaticFiles

__all__ = ["make_server", "preload_gateway", "run_gateway_process"]

_log = logging.getLogger("toto.gateway")

GC_THRESHOLDS = (20_000, 20, 20)
ORIGIN_BYTES = 8


def preload_gateway(settings: GatewaySettings) -> None:
    """Import what the options will need and others do not, before the processes are forked."""
    preload(settings)
    if settings.redis_url:
        import toto_gateway.events.relay  # 0.2 s, for the Redis client
    if settings.static_path:
        import toto_gateway.http.static_files  # noqa: F401  # 0.1 s, for tornado.web


def make_server(
    settings: GatewaySettings,
    stores: Stores,
    sockets: Sequence[socket.socket],
    *,
    worker_address: str,
    index: int,
) -> GatewayServer:
    """Put a gateway process together; needs a running event loop.

    Args:
        settings: the command's options.
        stores: accounts and sessions, as the startup function left them.
        sockets: listening sockets.
        worker_address: endpoint of the first gateway process.
        index: which gateway process this is.
    """
    formats = FormatRegistry(
        msgpack_enabled=settings.msgpack_enabled,
        bson_enabled=settings.bson_enabled,
        limits=DecodeLimits(members_max=settings.batch_max),
    )
    pool = _make_pool(settings, formats, worker_address, index)
    sessions = open_gateway_sessions(settings, stores)
    state = FrontState()
    client_address = ClientAddress(settings.trusted_proxies)
    decoder = Decoder(
        formats,
        root=settings.root,
        method_select=settings.method_select,
        batch_max=settings.batch_max,
    )
    signatures = RequestSignatures.of(settings)
    calls = _make_calls(settings, formats, pool, sessions, signatures)
    front = CallFront(
        _make_pipeline(settings, calls, decoder, sessions, signatures),
        Mounts(
            Probes(is_draining=lambda: state.is_draining, worker_count=lambda: pool.worker_count),
            _make_static_files(settings, client_address, state),
            _make_sockets(settings, formats, calls, decoder, sessions),
        ),
        CorsPolicy(
            settings.allow_origin,
            with_credentials=settings.use_cookies,
            with_nonces=settings.hmac_enabled and settings.hmac_scheme == "v2",
        ),
        client_address,
        max_body_bytes=settings.max_body_size,
        state=state,
    )
    return GatewayServer(
        front,
        pool,
        sessions,
        sockets,
        state=state,
        graceful_timeout_seconds=settings.graceful_timeout,
    )


def _make_pool(
    settings: GatewaySettings, formats: FormatRegistry, worker_address: str, index: int
) -> DispatchClient:
    addresses = tuple(process_endpoint(worker_address, n) for n in range(settings.processes))
    stores_fingerprint = store_fingerprint(settings)
    return DispatchClient(
        lambda listener: WorkerLinks(
            addresses[index],
            addresses=addresses,
            stores=stores_fingerprint,
            has_history=settings.event_history > 0,
            listener=listener,
        ),
        lambda pool: NestedCalls(
            pool,
            formats.msgpack,
            nested_refusal,
            timeout_seconds=settings.request_timeout,
        ),
        partial(_make_event_bus, settings),
        loop=asyncio.get_running_loop(),
        queue_max=settings.queue_max,
    )


def _make_calls(
    settings: GatewaySettings,
    formats: FormatRegistry,
    pool: DispatchClient,
    sessions: GatewaySessions,
    signatures: RequestSignatures,
) -> Calls:
    authenticator = Authenticator(sessions.loader, signatures, sessions.count_hit)
    read_parameters = partial(decode_parameters, formats=formats)
    return Calls(
        pool,
        Admission(authenticator, pool.policy_of, read_parameters, _make_cookie(settings)),
        BatchSessions(
            lambda session_id, changes, expires: sessions.calls.run(
                save_changes, sessions.stores.connection, session_id, changes, expires
            )
        ),
        timeout_seconds=settings.request_timeout,
    )


def _make_pipeline(
    settings: GatewaySettings,
    calls: Calls,
    decoder: Decoder,
    sessions: GatewaySessions,
    signatures: RequestSignatures,
) -> Pipeline:
    return Pipeline(
        calls,
        decoder,
        SessionAnswers(signatures, _make_cookie(settings), sessions.note_ended),
        CsrfPolicy(settings.allow_origin) if settings.use_cookies else None,
        PipelineSettings(
            http_statuses=settings.error_status == "http",
            access_log=settings.access_log,
        ),
    )


def _make_sockets(
    settings: GatewaySettings,
    formats: FormatRegistry,
    calls: Calls,
    decoder: Decoder,
    sessions: GatewaySessions,
) -> SocketEndpoint | None:
    if not settings.use_web_sockets:
        return None
    policy = UpgradePolicy(
        f"{settings.root.rstrip('/')}/{settings.socket_path.strip('/')}",
        allow_origin=settings.allow_origin,
        cookie=_make_cookie(settings),
        max_message_bytes=settings.max_body_size,
    )
    services = SocketServices(
        calls,
        decoder,
        formats.json,
        formats.by_name("msgpack"),
        on_ended=sessions.note_ended,
        calls_max=settings.socket_calls_max,
        access_log=settings.access_log,
    )
    return SocketEndpoint(policy, services)


def _make_event_bus(settings: GatewaySettings, send: SendToWorker, check: CheckLink) -> EventBus:
    origin = secrets.token_bytes(ORIGIN_BYTES)
    make_relay = None
    if settings.redis_url:
        from toto_gateway.events.relay import EventRelay

        make_relay = partial(EventRelay, settings, origin)
    return EventBus(
        send, check, origin=origin, make_relay=make_relay, recorder=_make_recorder(settings)
    )


def _make_recorder(settings: GatewaySettings) -> EventRecorder | None:
    if not settings.event_history:
        return None
    return EventRecorder(
        open_event_history(settings, length=settings.event_history),
        loop=asyncio.get_running_loop(),
        timeout_seconds=2 * settings.store_timeout,
    )


def _make_static_files(
    settings: GatewaySettings, client_address: ClientAddress, state: FrontState
) -> "StaticFiles | None":
    if not settings.static_path:
        return None
    from toto_gateway.http.static_files import StaticFiles

    return StaticFiles(
        settings.static_path,
        url=settings.static_url,
        method_root=settings.root,
        client_address=client_address,
        tasks=state.tasks,
        is_draining=lambda: state.is_draining,
        access_log=settings.access_log,
    )


def _make_cookie(settings: GatewaySettings) -> SessionCookie | None:
    if not settings.use_cookies:
        return None
    return SessionCookie(
        domain=settings.cookie_domain,
        is_secure=settings.secure_cookies,
        root=settings.root,
        secret=settings.cookie_secret,
    )


def run_gateway_process(
    settings: GatewaySettings,
    sockets: Sequence[socket.socket],
    worker_address: str,
    index: int,
    context: ChildContext,
) -> int:
    """Run in a fork of the supervisor; return the exit code."""
    configure_logging(f"gateway-{index}", level=settings.log_level, log_format=settings.log_format)
    try:
        stores = open_stores(settings)
    except SettingsError as error:
        sys.stderr.write(f"toto-gateway: error: {error}\n")
        return EXIT_STARTUP
    try:
        run_startup_function(
            settings.startup_function, app_dir=settings.app_dir, db_connection=stores.connection
        )
    except StartupError as error:
        sys.stderr.write(f"{error.traceback_text}toto-gateway: error: {error}\n")
        return EXIT_STARTUP

    # What is loaded by now stays; and a gateway makes few cycles, so look for them less often.
    # Measured: a 2 MiB body of a million values decodes in 0.2 s instead of 0.6 s.
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)

    async def serve() -> None:
        server = make_server(settings, stores, sockets, worker_address=worker_address, index=index)
        await server.serve(on_ready=context.ready, parent_pipe=context.parent_pipe)

    try:
        asyncio.run(serve())
    except zmq.ZMQError as error:
        endpoint = process_endpoint(worker_address, index)
        sys.stderr.write(
            f"toto-gateway: error: cannot listen for workers on {endpoint}: {error.strerror}\n"
        )
        return EXIT_STARTUP
    except SettingsError as error:
        sys.stderr.write(f"toto-gateway: error: {error}\n")
        return EXIT_STARTUP
    return 0
