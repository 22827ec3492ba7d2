"""The options of toto-gateway, and what they must be together."""

import importlib.util
import os
import re
from dataclasses import dataclass
from pathlib import Path

from toto._core import kinds
from toto._core.endpoints import parse_endpoint
from toto._core.event_settings import check_event_init_module
from toto._core.settings import Secret, SettingsError, option
from toto._core.stores.open_event_history import check_event_history
from toto._core.stores.redis_url import redis_target
from toto._core.stores.settings import StoreSettings, check_store_settings
from toto_gateway.http.client_address import ClientAddress
from toto_gateway.http.probes import PROBE_PATHS
from toto_gateway.sessions.cookies import SessionCookie

__all__ = ["GatewaySettings", "check_gateway_settings"]

_ROOT = re.compile(r"/|(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9.\[\]:_-]+")
_WORKER_PATH_BYTES_MAX = 100
_PROCESSES_MAX = 64


def _url_prefix() -> kinds.Kind[str]:
    text = kinds.text()

    def parse(value: object) -> str:
        return "/" + text.parse(value).strip("/")

    return kinds.Kind("url prefix", "text", parse)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings(StoreSettings):
    """Serve Python methods over HTTP and run the calls in worker processes."""

    port: int = option(
        8888,
        kind=kinds.integer(0, 65535),
        help="TCP port to serve HTTP on; 0 takes any free port, printed at start.",
    )
    host: str = option(
        "",
        kind=kinds.text(),
        help="Address to serve HTTP on.",
        default_help="all interfaces",
    )
    root: str = option(
        "/",
        kind=_url_prefix(),
        help="URL prefix under which methods are served, such as /api.",
    )
    processes: int = option(
        1,
        kind=kinds.integer(1, _PROCESSES_MAX),
        unit="processes",
        help="Gateway processes that share the port.",
    )
    method_module: str = option(
        "methods",
        kind=kinds.text(),
        help="Package of the methods that local workers serve.",
    )
    workers: int = option(
        0,
        kind=kinds.integer(0, 512),
        unit="processes",
        help="Local worker processes to start.",
    )
    threads: int = option(
        1,
        kind=kinds.integer(1, 256),
        unit="threads",
        help="Plain calls that each local worker runs at once.",
    )
    app_dir: Path = option(
        Path("."),
        kind=kinds.path(),
        help="Folder put first on the import path of local workers.",
    )
    event_init_module: str = option(
        "",
        kind=kinds.text(),
        help="Module such as `myapp.on_events`, whose `invoke(event_manager)` runs once in every "
        "local worker before it serves, to register handlers of events.",
        default_help="none",
    )
    worker_address: str = option(
        "",
        kind=kinds.text(),
        help="Where workers connect: `ipc://PATH` or `tcp://HOST:PORT`.",
        default_help="an ipc path in a private run directory",
    )
    worker_plaintext: bool = option(
        False,
        kind=kinds.flag(),
        help="Allow unencrypted worker traffic on tcp addresses other than loopback: "
        "only inside a private network.",
    )
    use_web_sockets: bool = option(
        False,
        kind=kinds.flag(),
        help="Take calls over WebSockets too, at `socket_path`.",
    )
    socket_path: str = option(
        "websocket",
        kind=kinds.text(),
        help="Path of WebSockets, below `root`.",
    )
    socket_calls_max: int = option(
        16,
        kind=kinds.integer(1, 10_000),
        unit="calls",
        help="Calls that may be under way on one WebSocket; further ones are refused.",
    )
    event_history: int = option(
        0,
        kind=kinds.integer(0, 100_000),
        unit="events",
        help="Broadcast events kept of each name, so that clients that come back get what they "
        "have missed; in Redis, or else in the SQL database. 0 keeps none.",
    )
    static_path: str = option(
        "",
        kind=kinds.text(),
        help="Folder whose files are served to browsers.",
        default_help="none",
    )
    static_url: str = option(
        "/static",
        kind=_url_prefix(),
        help="URL prefix of the files in `static_path`; methods go before files.",
    )
    method_select: str = option(
        "both",
        kind=kinds.choice("both", "url", "parameter"),
        help="Where a call names its method: the URL, the body's `method`, "
        "or the URL first and then the body.",
    )
    allow_origin: str = option(
        "",
        kind=kinds.text(),
        help="Origins whose pages may call (CORS): `*`, or one or several separated by commas.",
        default_help="none",
    )
    msgpack_enabled: bool = option(
        True,
        kind=kinds.flag(),
        help="Accept and answer application/msgpack.",
    )
    bson_enabled: bool = option(
        False,
        kind=kinds.flag(),
        help="Accept and answer application/bson; needs `pip install toto-gateway[bson]`.",
    )
    trusted_proxies: tuple[str, ...] = option(
        (),
        kind=kinds.names(),
        help="Addresses or networks of proxies whose X-Forwarded-For tells the client's address.",
        default_help="none",
    )
    use_cookies: bool = option(
        False,
        kind=kinds.flag(),
        help="Take the session id from a cookie too, and set it. Calls must then be POST "
        "with a content type, from pages of this origin or of `allow_origin`.",
    )
    cookie_secret: Secret = option(
        Secret(""),
        kind=kinds.secret(),
        help="Key that signs the cookie.",
        default_help="none: the cookie is not signed",
    )
    secure_cookies: bool = option(
        True,
        kind=kinds.flag(),
        help="Let browsers send the cookie over TLS only; false is for development.",
    )
    cookie_domain: str = option(
        "",
        kind=kinds.text(),
        help="Domain of the cookie, such as example.com.",
        default_help="the host that set it",
    )
    max_body_size: int = option(
        2 * 2**20,
        kind=kinds.size(1, 2**40),
        help="Largest request body; a larger one is answered 413.",
    )
    batch_max: int = option(
        100,
        kind=kinds.integer(1, 100_000),
        unit="calls",
        help="Most calls in one batch.",
    )
    request_timeout: float = option(
        30.0,
        kind=kinds.duration(minimum_seconds=0.001),
        help="Longest time a call may take, waiting for a worker included.",
    )
    queue_max: int = option(
        0,
        kind=kinds.integer(0, 1_000_000),
        unit="calls",
        help="Calls that may wait for a worker; further ones are refused at once.",
        default_help="128, and 4 more for each worker slot",
    )
    error_status: str = option(
        "toto",
        kind=kinds.choice("toto", "http"),
        help="HTTP status of errors raised by methods: 200 as Toto's clients expect, "
        "or the matching 4xx and 5xx.",
    )
    graceful_timeout: float = option(
        30.0,
        kind=kinds.duration(),
        help="Time that running calls have to finish when the gateway stops.",
    )
    debug: bool = option(
        False,
        kind=kinds.flag(),
        help="Send the text of unexpected exceptions to clients.",
    )
    access_log: bool = option(
        False,
        kind=kinds.flag(),
        help="Write a log line for each call.",
    )


def check_gateway_settings(settings: GatewaySettings) -> None:
    """Refuse settings that cannot work, although each value alone is of the right kind.

    Raises:
        SettingsError: the first problem found.
    """
    if not _ROOT.fullmatch(settings.root):
        raise SettingsError(
            f"root must be a URL path such as /api, of letters, digits and .-_~, "
            f"not {settings.root!r}"
        )
    if settings.bson_enabled and importlib.util.find_spec("bson") is None:
        raise SettingsError(
            "bson_enabled needs the bson module of pymongo: install toto-gateway[bson]"
        )
    if settings.workers and not os.path.isdir(settings.app_dir):
        raise SettingsError(f"app_dir must be an existing folder, not '{settings.app_dir}'")
    _check_socket_path(settings)
    _check_static(settings)
    check_store_settings(settings)
    if settings.redis_url:
        redis_target(settings)
    if settings.event_history:
        check_event_history(settings)
    check_event_init_module(settings.event_init_module)
    _check_allow_origin(settings.allow_origin)
    try:
        ClientAddress(settings.trusted_proxies)
    except ValueError as error:
        raise SettingsError(f"trusted_proxies: {error}") from error
    _check_sessions(settings)
    if settings.worker_address:
        _check_worker_address(settings.worker_address, settings.worker_plaintext)


def _check_socket_path(settings: GatewaySettings) -> None:
    path = settings.socket_path
    if not path.strip("/") or not _ROOT.fullmatch("/" + path.strip("/")):
        raise SettingsError(
            f"socket_path must be a URL path such as websocket, of letters, digits and .-_~, "
            f"not {path!r}"
        )
    whole = f"{settings.root.rstrip('/')}/{path.strip('/')}"
    if not settings.use_web_sockets:
        return
    if whole in PROBE_PATHS:
        raise SettingsError(f"socket_path would hide the probe {whole}")
    if settings.static_path and f"{settings.static_url}/".startswith(f"{whole}/"):
        raise SettingsError(f"socket_path {whole} would hide the files at {settings.static_url}")


def _check_static(settings: GatewaySettings) -> None:
    if not settings.static_path:
        return
    if not os.path.isdir(settings.static_path):
        raise SettingsError(f"static_path must be an existing folder, not '{settings.static_path}'")
    if not _ROOT.fullmatch(settings.static_url):
        raise SettingsError(
            f"static_url must be a URL path such as /static, of letters, digits and .-_~, "
            f"not {settings.static_url!r}"
        )
    if settings.static_url == settings.root:
        raise SettingsError(
            f"static_url and root are both {settings.root!r}: a URL cannot be a file and a method"
        )


def _check_allow_origin(allow_origin: str) -> None:
    if allow_origin in ("", "*"):
        return
    for origin in allow_origin.split(","):
        if not _ORIGIN.fullmatch(origin.strip()):
            raise SettingsError(
                f"allow_origin must be *, or origins such as https://example.com without a path, "
                f"not {origin.strip()!r}"
            )


def _check_sessions(settings: GatewaySettings) -> None:
    if settings.use_cookies and settings.allow_origin == "*":
        raise SettingsError(
            'allow_origin = "*" would let every page act as the user whose cookie the browser '
            "sends: name the origins, or do not use_cookies"
        )
    try:
        SessionCookie(domain=settings.cookie_domain)
    except ValueError as error:
        raise SettingsError(
            f"cookie_domain must be a domain such as example.com, not {settings.cookie_domain!r}"
        ) from error
    remembers_nonces = settings.database != "none" or settings.session_cache == "redis"
    if settings.hmac_enabled and settings.hmac_scheme == "v2" and not remembers_nonces:
        raise SettingsError("hmac_scheme = v2 needs a database that remembers nonces")


def _check_worker_address(address: str, is_plaintext_allowed: bool) -> None:
    try:
        endpoint = parse_endpoint(address)
    except ValueError as error:
        raise SettingsError(f"worker_address is {address!r}, but must {error}") from error
    # Each gateway process but the first adds a suffix to the path.
    longest_path = f"{endpoint.path}-{_PROCESSES_MAX - 1}"
    if endpoint.path and len(os.fsencode(longest_path)) > _WORKER_PATH_BYTES_MAX:
        limit = _WORKER_PATH_BYTES_MAX - len(f"-{_PROCESSES_MAX - 1}")
        raise SettingsError(f"worker_address must have a path of at most {limit} bytes")
    if not endpoint.is_private and not is_plaintext_allowed:
        raise SettingsError(
            f"worker_address is {address!r}, which other hosts can reach unencrypted: "
            "listen on loopback or ipc, or set worker_plaintext inside a private network"
        )
