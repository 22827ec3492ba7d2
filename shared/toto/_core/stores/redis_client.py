"""Redis clients with short time limits: redis-py's own defaults wait for a minute and more."""

import threading
from typing import Any, cast

import redis.asyncio
import redis.asyncio.cluster
import redis.asyncio.retry
import redis.asyncio.sentinel
import redis.cluster
import redis.exceptions
import redis.sentinel
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.retry import Retry

from toto._core.kinds import Secret
from toto._core.stores.redis_url import RedisTarget, TlsOptions
from toto._core.stores.settings import StoreSettings

__all__ = [
    "AnyAsyncRedis",
    "AnyRedis",
    "LazyCluster",
    "close_async_client",
    "close_client",
    "make_async_client",
    "make_client",
]

AnyRedis = redis.Redis | redis.cluster.RedisCluster
AnyAsyncRedis = redis.asyncio.Redis | redis.asyncio.cluster.RedisCluster

_CONNECTIONS_MAX = 128
"""Of one client; more threads than this wait for one another's connections."""
_ATTEMPTS = 2
"""The second finds a server that was restarted, or replaces an idle connection that a firewall
forgot."""
_ATTEMPT_PART = 0.45
"""Of ``store_timeout``; the rest is for the driver's own work. With TLS that is more: it reads the
system's authorities anew for each connection, 20 to 50 ms of processor time [measured]."""


def make_client(
    target: RedisTarget, settings: StoreSettings, *, is_patient: bool = False
) -> AnyRedis:
    """Make a client for threads. It connects when first used; ``close_client`` ends it.

    A command fails within ``store_timeout`` or little more: each step of it has nearly half of
    that, and one step is done a second time. No answer is ever decoded.

    Args:
        target: where Redis is.
        settings: for ``store_timeout``.
        is_patient: whether to wait for an answer without limit, as blocking commands need it.
    """
    options = _options(target, settings, target.password, target.username)
    if is_patient:
        options["socket_timeout"] = None
    if target.kind == "cluster":
        return cast(redis.cluster.RedisCluster, LazyCluster(target, options))
    options |= {"db": target.database, "retry": _OneRetry(NoBackoff(), _ATTEMPTS - 1)}
    if target.kind == "sentinel":
        sentinel = redis.sentinel.Sentinel(  # type: ignore[no-untyped-call]
            target.addresses,
            sentinel_kwargs=_sentinel_options(target, settings) | {"retry": _no_retry()},
        )
        master = sentinel.master_for(target.service, **options)  # type: ignore[no-untyped-call]
        return cast(redis.Redis, master)
    pool = redis.BlockingConnectionPool(  # type: ignore[no-untyped-call]
        timeout=options["socket_connect_timeout"],
        connection_class=_connection_class(target, redis.connection),
        **(_location(target) | _without_flag(options)),
    )
    return redis.Redis.from_pool(pool)


def make_async_client(target: RedisTarget, settings: StoreSettings) -> AnyAsyncRedis:
    """Make a client for asyncio. It connects when first used; ``close_async_client`` ends it.

    It never retries by itself: its caller has the time limit, and knows what is left of it.

    Args:
        target: where Redis is.
        settings: for ``store_timeout``.
    """
    options = _options(target, settings, target.password, target.username)
    options["retry"] = redis.asyncio.retry.Retry(NoBackoff(), 0)
    if target.kind == "cluster":
        return redis.asyncio.cluster.RedisCluster(
            startup_nodes=[
                redis.asyncio.cluster.ClusterNode(host, port) for host, port in target.addresses
            ],
            reinitialize_steps=1,
            **options,
        )
    options["db"] = target.database
    if target.kind == "sentinel":
        sentinel = redis.asyncio.sentinel.Sentinel(  # type: ignore[no-untyped-call]
            target.addresses,
            sentinel_kwargs=_sentinel_options(target, settings) | {"retry": options["retry"]},
        )
        return cast(redis.asyncio.Redis, sentinel.master_for(target.service, **options))
    pool = redis.asyncio.BlockingConnectionPool(
        timeout=options["socket_connect_timeout"],
        connection_class=_connection_class(target, redis.asyncio.connection),
        **(_location(target) | _without_flag(options)),
    )
    return redis.asyncio.Redis.from_pool(pool)


def close_client(client: AnyRedis) -> None:
    """End all connections of a client, those to sentinels too; harmless twice."""
    client.close()
    if isinstance(client, redis.Redis):
        pool = client.connection_pool
        if isinstance(pool, redis.sentinel.SentinelConnectionPool):
            pool.sentinel_manager.close()


async def close_async_client(client: AnyAsyncRedis) -> None:
    """End all connections of a client, those to sentinels too; harmless twice."""
    await client.aclose()
    if isinstance(client, redis.asyncio.Redis):
        pool = client.connection_pool
        if isinstance(pool, redis.asyncio.sentinel.SentinelConnectionPool):
            await pool.sentinel_manager.aclose()


class LazyCluster:
    """A ``RedisCluster`` that connects when first used; redis-py's own does when it is made.

    While no node answers, every use tries again.

    Args:
        target: some nodes of the cluster.
        options: of the connections.
    """

    def __init__(self, target: RedisTarget, options: dict[str, Any]) -> None:
        self._addresses = target.addresses
        self._options = options
        self._lock = threading.Lock()
        self._cluster: redis.cluster.RedisCluster | None = None
        self._failures = 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._connected(), name)

    def close(self) -> None:
        """End all connections; the next use makes new ones."""
        with self._lock:
            cluster, self._cluster = self._cluster, None
        if cluster is not None:
            cluster.close()

    def _connected(self) -> redis.cluster.RedisCluster:
        failures_before = self._failures
        with self._lock:
            if self._cluster is None:
                # Threads that waited here for another one's attempt share its outcome: one after
                # another they would wait for ever longer.
                if self._failures != failures_before:
                    raise redis.exceptions.ConnectionError("no node of the cluster answered")
                self._cluster = self._connect()
            return self._cluster

    def _connect(self) -> redis.cluster.RedisCluster:
        node = cast(Any, redis.cluster.ClusterNode)
        try:
            # No retries: redis-py would send EXEC again on a connection without the WATCH.
            return redis.cluster.RedisCluster(
                startup_nodes=[node(host, port) for host, port in self._addresses],
                retry=_no_retry(),
                reinitialize_steps=1,
                **self._options,
            )
        except BaseException:
            self._failures += 1
            raise


class _OneRetry(Retry):
    """Retries the outermost step only.

    redis-py retries a command, and inside of it the connecting and its handshake: a silent server
    would be waited for four times instead of twice. Every connection has a copy of its own.
    """

    def call_with_retry(self, do: Any, fail: Any, *args: Any, **kwargs: Any) -> Any:
        retries, self._retries = self._retries, 0
        try:
            once = Retry(self._backoff, retries, self._supported_errors)
            return once.call_with_retry(do, fail, *args, **kwargs)
        finally:
            self._retries = retries


class _Credentials(CredentialProvider):
    """Hands out user and password. As plain options they show in reprs (redis-py issue 3998)."""

    def __init__(self, username: str, password: Secret) -> None:
        self._username = username
        self._password = password

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        password = self._password.reveal()
        return (self._username, password) if self._username else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()


def _no_retry() -> Retry:
    return Retry(NoBackoff(), 0)


def _options(
    target: RedisTarget, settings: StoreSettings, password: Secret, username: str
) -> dict[str, Any]:
    step_seconds = settings.store_timeout * _ATTEMPT_PART
    options: dict[str, Any] = {
        "socket_timeout": step_seconds,
        "socket_connect_timeout": step_seconds,
        "max_connections": _CONNECTIONS_MAX,
        # No push messages: they switch off redis-py's check for an answer that was left over.
        "protocol": 2,
    }
    if password:
        options["credential_provider"] = _Credentials(username, password)
    if target.tls is None:
        options["driver_info"] = None  # saves two round trips for each connection
    else:
        # Telling the driver's name makes redis-py read the session tickets of TLS 1.3, which it
        # otherwise takes for an answer that was left over: "Connection not ready".
        options |= {"ssl": True, **_tls(target.tls)}
    return options


def _sentinel_options(target: RedisTarget, settings: StoreSettings) -> dict[str, Any]:
    options = _options(target, settings, target.sentinel_password, target.sentinel_username)
    # They are asked one after another: all together may take one step.
    step_seconds = options["socket_timeout"] / len(target.addresses)
    return options | {"socket_timeout": step_seconds, "socket_connect_timeout": step_seconds}


def _tls(tls: TlsOptions) -> dict[str, Any]:
    paths = {
        "ssl_ca_certs": tls.ca_certs,
        "ssl_certfile": tls.certfile,
        "ssl_keyfile": tls.keyfile,
    }
    return {
        **{name: path for name, path in paths.items() if path},
        "ssl_cert_reqs": tls.verification,
        "ssl_check_hostname": tls.check_hostname,
    }


def _without_flag(options: dict[str, Any]) -> dict[str, Any]:
    """Pools are told of TLS by the class of their connections."""
    return {name: value for name, value in options.items() if name != "ssl"}


def _location(target: RedisTarget) -> dict[str, Any]:
    if target.kind == "unix":
        return {"path": target.path}
    return target.addresses[0]._asdict()


def _connection_class(target: RedisTarget, module: Any) -> Any:
    if target.kind == "unix":
        return module.UnixDomainSocketConnection
    return module.Connection if target.tls is None else module.SSLConnection
