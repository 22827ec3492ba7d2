"""Which Redis is meant: the settings, read into a value. No I/O, and no client."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl, unquote

from toto._core.kinds import Secret, SettingsError
from toto._core.stores.settings import StoreSettings

__all__ = ["Address", "RedisTarget", "TlsOptions", "parse_redis_url", "redis_target"]

_REDIS_PORT = 6379
_SENTINEL_PORT = 26379
_DATABASE_MAX = 1_000_000
_FORMS = (
    "redis://[USER:PASSWORD@]HOST:PORT/DB, rediss:// (TLS), unix://PATH?db=DB, "
    "redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB or redis+cluster://HOST:PORT"
)
_OPTIONS = (
    "db",
    "username",
    "password",
    "sentinel_username",
    "sentinel_password",
    "ssl_ca_certs",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_cert_reqs",
    "ssl_check_hostname",
)
_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\s\[\]:@/?#,\\\x00-\x20\x7f]*))(?::([0-9]*))?")
_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

TargetKind = Literal["server", "unix", "sentinel", "cluster"]
Verification = Literal["required", "optional", "none"]
_SCHEMES: dict[str, tuple[TargetKind, bool]] = {
    "redis": ("server", False),
    "rediss": ("server", True),
    "unix": ("unix", False),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
_VERIFICATIONS: dict[str, Verification] = {
    "required": "required",
    "optional": "optional",
    "none": "none",
}


class Address(NamedTuple):
    """Host and port of a server."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """How a TLS connection is made; empty paths are the system's authorities and no certificate."""

    ca_certs: str = ""
    certfile: str = ""
    keyfile: str = ""
    verification: Verification = "required"
    check_hostname: bool = True


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """A Redis server, its sentinels or its cluster, and who we are there.

    Args:
        kind: what the addresses are of.
        addresses: servers, sentinels, or some nodes of the cluster; none for a unix socket.
        path: of the unix socket.
        service: the name by which sentinels know the master.
        database: number of the database.
        username, password: of Redis; empty for none.
        sentinel_username, sentinel_password: of the sentinels, which have their own.
        tls: None for a plain connection.
    """

    kind: TargetKind
    addresses: tuple[Address, ...]
    path: str = ""
    service: str = ""
    database: int = 0
    username: str = ""
    password: Secret = Secret("")  # noqa: RUF009  # immutable
    sentinel_username: str = ""
    sentinel_password: Secret = Secret("")  # noqa: RUF009  # immutable
    tls: TlsOptions | None = None

    def __str__(self) -> str:
        """Return where it is, for log lines."""
        where = self.path or ",".join(map(str, self.addresses))
        return {
            "server": f"Redis at {where}",
            "unix": f"Redis at {where}",
            "sentinel": f"Redis {self.service!r} of the sentinels {where}",
            "cluster": f"Redis cluster at {where}",
        }[self.kind]


def redis_target(settings: StoreSettings) -> RedisTarget:
    """Return the Redis that the settings name: ``redis_url``, else ``db_host`` and ``db_port``.

    ``redis_database`` is the database of a URL that names none.

    Raises:
        SettingsError: the URL cannot be used. The text shows nothing of it.
    """
    url = settings.redis_url.reveal()
    if url:
        return parse_redis_url(url, settings.redis_database)
    address = Address(settings.db_host, settings.db_port or _REDIS_PORT)
    return RedisTarget("server", (address,), database=settings.redis_database)


def parse_redis_url(url: str, default_database: int = 0) -> RedisTarget:
    """Read a URL of any of the forms that the option ``redis_url`` has.

    Args:
        url: user, password, path and options are percent-encoded.
        default_database: the database when the URL names none.

    Raises:
        SettingsError: it is none of them. The text shows nothing of the URL: where the password
            is in a URL that cannot be read is not known.
    """
    # `from None` everywhere: the errors of urllib and int() quote the text they were given.
    try:
        return _parse(url, default_database)
    except ValueError as error:
        reason = error.args[0] if isinstance(error, _BadUrl) else "it cannot be read"
        raise SettingsError(f"redis_url is refused: {reason}; it must be {_FORMS}") from None


class _BadUrl(ValueError):
    """Says what is wrong in words of this module only."""


def _parse(url: str, default_database: int) -> RedisTarget:
    scheme, separator, rest = url.partition("://")
    kind, has_tls = _SCHEMES.get(scheme.lower(), ("server", False))
    if not separator or scheme.lower() not in _SCHEMES:
        raise _BadUrl("it begins with no scheme known here")
    if "#" in rest:
        raise _BadUrl("it has a '#', which must be written %23")
    rest, _, query = rest.partition("?")
    options = _query_options(query)
    authority, slash, path = rest.partition("/")
    username, password, hosts = _split_credentials(authority)
    location = _location(kind, slash + path, options, default_database)
    target = RedisTarget(
        kind,
        _addresses(kind, hosts),
        path=location.path,
        service=location.service,
        database=location.database,
        username=options.get("username", username),
        password=Secret(options.get("password", password)),
        sentinel_username=options.get("sentinel_username", ""),
        sentinel_password=Secret(options.get("sentinel_password", "")),
        tls=_tls_options(options) if has_tls else None,
    )
    _check(target, options)
    return target


def _check(target: RedisTarget, options: Mapping[str, str]) -> None:
    if target.username and not target.password:
        raise _BadUrl("it has a user without a password")
    if target.sentinel_username and not target.sentinel_password:
        raise _BadUrl("it has a sentinel user without a password")
    if target.tls is None and any(name.startswith("ssl_") for name in options):
        raise _BadUrl("its ssl_ options need a scheme with TLS")
    if target.kind != "sentinel" and any(name.startswith("sentinel_") for name in options):
        raise _BadUrl("its sentinel_ options need a scheme with sentinels")
    if target.kind == "cluster" and target.database:
        raise _BadUrl("a cluster has the database 0 only")


def _query_options(query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=len(_OPTIONS))
    options = dict(pairs)
    if len(options) < len(pairs) or not set(options) <= set(_OPTIONS):
        raise _BadUrl(f"its options may only be {', '.join(_OPTIONS)}, each once")
    return options


def _split_credentials(authority: str) -> tuple[str, str, str]:
    credentials, _, hosts = authority.rpartition("@")
    username, _, password = credentials.partition(":")
    return unquote(username, errors="strict"), unquote(password, errors="strict"), hosts


def _addresses(kind: TargetKind, hosts: str) -> tuple[Address, ...]:
    if kind == "unix":
        if hosts:
            raise _BadUrl("a unix socket has a path, not a host")
        return ()
    default_port = _SENTINEL_PORT if kind == "sentinel" else _REDIS_PORT
    parts = hosts.split(",") if kind in ("sentinel", "cluster") else [hosts]
    return tuple(_address(part, default_port, may_be_empty=kind == "server") for part in parts)


def _address(text: str, default_port: int, *, may_be_empty: bool) -> Address:
    match = _ADDRESS.fullmatch(text)
    if match is None or not (match[1] or match[2] or may_be_empty):
        raise _BadUrl("it has no host and port that can be read")
    digits = match[3] or str(default_port)
    port = int(digits) if len(digits) <= 5 else 0
    if not 0 < port <= 65535:
        raise _BadUrl("its port is not from 1 to 65535")
    return Address(match[1] or match[2] or "localhost", port)


class _Location(NamedTuple):
    path: str
    service: str
    database: int


def _location(
    kind: TargetKind, path: str, options: Mapping[str, str], default_database: int
) -> _Location:
    socket_path, service, database = "", "", path.strip("/")
    if kind == "unix":
        socket_path, database = unquote(path, errors="strict"), ""
        if not socket_path or "\0" in socket_path:
            raise _BadUrl("it has no path of a unix socket")
    elif kind == "sentinel":
        service, _, database = database.partition("/")
        service = unquote(service, errors="strict")
        if not service:
            raise _BadUrl("it has no name of a service behind its sentinels")
    database = options.get("db", database)
    number = _database(database) if database else default_database
    return _Location(socket_path, service, number)


def _database(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 7 or int(text) > _DATABASE_MAX:
        raise _BadUrl(f"its database is not a number from 0 to {_DATABASE_MAX}")
    return int(text)


def _tls_options(options: Mapping[str, str]) -> TlsOptions:
    verification = _VERIFICATIONS.get(options.get("ssl_cert_reqs", "required").lower())
    check_hostname = _FLAGS.get(options.get("ssl_check_hostname", "true").lower())
    if verification is None:
        raise _BadUrl("its ssl_cert_reqs is not required, optional or none")
    if check_hostname is None:
        raise _BadUrl("its ssl_check_hostname is not true or false")
    return TlsOptions(
        ca_certs=options.get("ssl_ca_certs", ""),
        certfile=options.get("ssl_certfile", ""),
        keyfile=options.get("ssl_keyfile", ""),
        verification=verification,
        check_hostname=check_hostname and verification != "none",
    )
