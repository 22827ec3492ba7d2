"""Fixtures: clusters with WebSockets that several files of tests share (a plugin of pytest)."""

from collections.abc import Iterator
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.sessions import UNLIMITED, Client, new_client
from toto_testkit.websocket import (
    BATCH_MAX,
    THREADS,
    TIMEOUT_SECONDS,
    Socket,
    open_socket,
    serving_sockets,
)


@pytest.fixture(scope="session")
def sockets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Room for more plain calls than one socket may have under way; the log tells everything."""
    options: dict[str, Any] = {
        "threads": THREADS,
        "request_timeout": TIMEOUT_SECONDS,
        "batch_max": BATCH_MAX,
        "log_level": "debug",
        "access_log": True,
    }
    with serving_sockets(tmp_path_factory.mktemp("sockets"), **options) as started:
        yield started


@pytest.fixture
def socket(sockets: Cluster) -> Iterator[Socket]:
    """An open socket."""
    with open_socket(sockets) as opened:
        yield opened


@pytest.fixture(scope="session")
def odd_sockets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Sockets at ``/api/live``, for pages of all origins, without msgpack."""
    options: dict[str, Any] = {
        "threads": 1,
        "root": "/api",
        "socket_path": "live",
        "allow_origin": "*",
        "msgpack_enabled": False,
    }
    with serving_sockets(tmp_path_factory.mktemp("odd-sockets"), **options) as started:
        yield started


@pytest.fixture(scope="session")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Unsigned sessions; the log tells everything."""
    directory = tmp_path_factory.mktemp("socket-sessions")
    options: dict[str, Any] = {
        **UNLIMITED,
        "sqlite_path": str(directory / "t.db"),
        "threads": 4,
        "request_timeout": TIMEOUT_SECONDS,
        "log_level": "debug",
        "access_log": True,
    }
    with serving_sockets(directory, **options) as started:
        yield started


@pytest.fixture
def client(sessions: Cluster) -> Client:
    """The client of a new account, with a session made over HTTP."""
    return new_client(sessions)


@pytest.fixture
def stranger(sessions: Cluster) -> Iterator[Socket]:
    """A socket of nobody, where there are users."""
    with open_socket(sessions) as opened:
        yield opened
