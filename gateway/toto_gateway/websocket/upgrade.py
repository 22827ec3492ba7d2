"""From an HTTP request to a WebSocket: the handshake (RFC 6455, 4) and who may open one. No I/O."""

import logging
import re
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import unquote

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake, InvalidHeader, InvalidUpgrade
from websockets.http11 import Request as UpgradeRequest
from websockets.protocol import State
from websockets.server import ServerProtocol

from toto._core.failure import Failure
from toto.exceptions import ERROR_NOT_AUTHORIZED
from toto_gateway.credentials import header_credential, possible_credential, presented_credential
from toto_gateway.decoding import origin_path
from toto_gateway.origins import listed_origins
from toto_gateway.request import Request
from toto_gateway.sessions.cookies import SessionCookie
from toto_gateway.sessions.csrf import CsrfPolicy, CsrfProblem
from toto_gateway.websocket.conversation import Handshake

__all__ = ["Refusal", "Upgrade", "UpgradePolicy"]

_VERSION_HEADER = "Sec-WebSocket-Version"
_READ_HEADERS = frozenset(
    {"connection", "upgrade", "origin", "sec-websocket-key", _VERSION_HEADER.lower()}
)
"""All that decide. Subprotocols and extensions are offers, which are not taken: compression would
cost each connection some 300 KB of memory."""

_SLASHES = re.compile(r"[/\\]+")
_OFFER = (("Upgrade", "websocket"), ("Connection", "Upgrade"), (_VERSION_HEADER, "13"))
"""How it could be had, for whoever asks otherwise."""


class _ErrorsOnly(logging.LoggerAdapter[logging.Logger]):
    """Keeps frames and headers out of the log: they hold credentials, and it is long."""

    def isEnabledFor(self, level: int) -> bool:
        """Tell whether a line is written."""
        return level >= logging.ERROR and super().isEnabledFor(level)


_FRAMES_LOG = _ErrorsOnly(logging.getLogger("toto.gateway.websocket"), {})


class Refusal(NamedTuple):
    """Why there is no WebSocket."""

    failure: Failure
    status: int = 0
    """0 = that of the failure's code."""
    headers: tuple[tuple[str, str], ...] = ()


class Upgrade(NamedTuple):
    """A WebSocket that may be opened."""

    handshake: Handshake
    protocol: ServerProtocol
    response: bytes
    """To be sent first."""


class UpgradePolicy:
    """Judges handshakes.

    Args:
        path: where sockets are opened, itself and ``<path>/<session_id>``.
        allow_origin: the option: pages of these origins may open one, besides the gateway's own.
        cookie: reads the session cookie; None without ``use_cookies``.
        max_message_bytes: of a client.
    """

    def __init__(
        self,
        path: str,
        *,
        allow_origin: str,
        cookie: SessionCookie | None,
        max_message_bytes: int,
    ) -> None:
        self._path = path
        self._plain_path = path.casefold()
        self._allows_all = "*" in listed_origins(allow_origin)
        self._csrf = CsrfPolicy(allow_origin)
        self._cookie = cookie
        self._max_message_bytes = max_message_bytes

    def is_about(self, uri: str) -> bool:
        """Tell whether a request is for a WebSocket, however badly it may ask."""
        path = origin_path(uri.partition("?")[0])
        if self._is_exactly(path):
            return True
        # Spelled otherwise it may hold a session id as well, which must not be logged.
        plain = unquote(path).casefold()
        if self._plain_path.rpartition("/")[2] not in plain:
            return False
        return f"{_SLASHES.sub('/', plain)}/".startswith(f"{self._plain_path}/")

    def _is_exactly(self, path: str) -> bool:
        return path == self._path or path.startswith(f"{self._path}/")

    def judge(self, request: Request, *, is_http11: bool) -> Upgrade | Refusal:
        """Return the socket to open, or why not.

        Args:
            request: a GET without a body.
            is_http11: an older client cannot upgrade.
        """
        if not self._is_exactly(origin_path(request.uri.partition("?")[0])):
            return Refusal(Failure.malformed(f"WebSockets are opened at {self._path}"), 404)
        protocol = ServerProtocol(
            state=State.OPEN, max_size=self._max_message_bytes, logger=_FRAMES_LOG
        )
        try:
            if not is_http11:
                raise InvalidUpgrade("Upgrade", "of an HTTP version before 1.1")
            offer = UpgradeRequest(request.uri, Headers(_read_headers(request)))
            response = protocol.accept(offer)
            if protocol.handshake_exc is not None:
                raise protocol.handshake_exc
        except InvalidHandshake as error:
            return _refusal_of(error)
        if not self._may_open(request):
            failure = Failure(ERROR_NOT_AUTHORIZED, CsrfProblem.ORIGIN.value)
            return Refusal(failure, 403)
        response.headers["X-Request-Id"] = request.request_id
        return Upgrade(self._handshake_of(request), protocol, response.serialize())

    def _may_open(self, request: Request) -> bool:
        """Browsers let any page open a socket and send the cookie along, but say which page."""
        return self._allows_all or self._csrf.allows_origin(request)

    def _handshake_of(self, request: Request) -> Handshake:
        path, mark, query = request.uri.partition("?")
        in_path = possible_credential(unquote(origin_path(path)[len(self._path) + 1 :]))
        presented = presented_credential(request, self._cookie)
        # The parameters of its calls are read as those of a POST.
        shown = replace(request, verb="POST", uri=f"{self._path}{mark}{query}")
        is_cookie = bool(presented) and not header_credential(request)
        return Handshake(request, shown, presented or in_path, is_cookie)


def _read_headers(request: Request) -> list[tuple[str, str]]:
    return [(name, value) for name, value in request.headers if name.lower() in _READ_HEADERS]


def _refusal_of(error: Exception) -> Refusal:
    # The reason repeats only what the client has sent in these few headers.
    failure = Failure.malformed(str(error))
    is_upgrade = not isinstance(error, InvalidUpgrade)
    if is_upgrade and isinstance(error, InvalidHeader) and error.name == _VERSION_HEADER:
        is_upgrade = error.value is None
    return Refusal(failure) if is_upgrade else Refusal(failure, 426, _OFFER)
