"""What ``invoke(handler, parameters)`` is given: the request, and the ways to answer it."""

import inspect
import operator
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from toto.dbconnection import DBConnection
    from toto.session import TotoSession

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_FIELD_VALUE = re.compile(r"[\x20-\x7e\xa0-\xff\t]{1,16384}")
# Text of RFC 9110, 5.5: visible Latin-1, spaces and tabs.

__all__ = [
    "BatchHandlerProxy",
    "HmacHandlers",
    "Request",
    "ResponsePort",
    "SessionPort",
    "TotoHandler",
]


@dataclass(frozen=True, slots=True)
class Request:
    """The HTTP request behind a call.

    For a member of a batch ``body`` is the member's own document, not the whole batch.
    """

    verb: str
    uri: str
    """Path and query as the client sent them."""
    headers: Mapping[str, str]
    """By lower-case name; repeated headers are joined by a comma."""
    body: bytes
    remote_ip: str
    content_type: str
    """The format of the request, parameters of the type included; empty if none was given."""

    @property
    def path(self) -> str:
        """The URI up to the question mark."""
        return self.uri.partition("?")[0]

    @property
    def query(self) -> dict[str, list[str]]:
        """The query's arguments, percent-decoded, each as the list of its values."""
        return parse_qs(self.uri.partition("?")[2], keep_blank_values=True)


class ResponsePort(Protocol):
    """Where a handler's answers go; the worker provides it. Any thread may call it."""

    def respond(self, result: Any, error: BaseException | None) -> None:
        """End the call with a result or an error."""

    def respond_raw(self, body: bytes, content_type: str, *, finish: bool) -> Awaitable[None]:
        """Send bytes, and end the call if ``finish``."""

    def set_status(self, status: int) -> None:
        """Choose the HTTP status of the answer."""

    def set_header(self, name: str, value: str) -> None:
        """Set a header of the answer, replacing earlier ones of the name."""

    def add_header(self, name: str, value: str) -> None:
        """Add a header to the answer."""

    def error_info(self, error: BaseException) -> dict[str, Any]:
        """Return the error object the client gets for an exception."""

    @property
    def is_cancelled(self) -> bool:
        """True when nobody waits for the answer any more."""

    @property
    def has_ended(self) -> bool:
        """True once the call has been answered."""


class SessionPort(Protocol):
    """Where a handler's session comes from; the worker provides it. It may block on a database."""

    @property
    def session(self) -> "TotoSession | None":
        """The session the method has asked for or made."""

    @session.setter
    def session(self, session: "TotoSession | None") -> None: ...

    @property
    def connection(self) -> "DBConnection":
        """The accounts and sessions of this worker."""

    def retrieve(self, session_id: str | None) -> "TotoSession | None":
        """Return the caller's session, or that of another id."""

    def create(self, user_id: str | None, password: str | None, verify: bool) -> "TotoSession":
        """Make a session; one of a user ends the session the call came with."""


@dataclass(frozen=True, slots=True)
class HmacHandlers:
    """What an application put in the place of the built-in signatures; None keeps those."""

    request: "Callable[[TotoSession, Request, Mapping[str, str]], Any] | None" = None
    response: "Callable[[TotoSession, bytes], str] | None" = None


class TotoHandler:
    """The handle on one call, passed to ``invoke`` as its first argument.

    The worker makes one for every call. Answering may happen in any thread; the first answer
    counts, a later one is dropped with a log line at debug level.
    """

    hmac_handlers: ClassVar[HmacHandlers] = HmacHandlers()
    """Set by the startup function, before the process serves."""

    def __init__(
        self,
        request: Request,
        port: ResponsePort,
        sessions: SessionPort,
        *,
        request_id: str,
        response_type: str,
        deadline: float,
    ) -> None:
        self.request = request
        self.request_id = request_id
        """Names the HTTP request in the logs of gateway and worker (header ``x-request-id``)."""
        self.transaction_id = uuid.uuid4()
        """Names this call; each member of a batch has its own."""
        self.response_type = response_type
        """Content type the result is encoded in, for instance ``application/json``."""
        self.deadline = deadline
        """``time.monotonic()`` after which nobody waits for the answer."""
        self.headers_only = request.verb == "HEAD"
        """True when no body will be sent, so that a method may save itself the work."""
        self._port = port
        self._sessions = sessions

    # -- instrumentation

    @classmethod
    def set_hmac_handler(
        cls, handler: "Callable[[TotoSession, Request, Mapping[str, str]], Any]"
    ) -> None:
        """Replace the check of request signatures (option ``hmac_enabled``).

        Args:
            handler: called as ``handler(session, request, headers)`` in the gateway, before the
                call is forwarded; it must not block. It returns if the signature is right, and
                else raises ``TotoException(ERROR_INVALID_HMAC, ...)`` or returns False. The body
                is the whole body received; header names are lower-case.

        Raises:
            TypeError: for a coroutine function, whose answer would come too late.
        """
        _refuse_coroutine(handler)
        TotoHandler.hmac_handlers = replace(TotoHandler.hmac_handlers, request=handler)

    @classmethod
    def set_response_hmac_handler(cls, handler: "Callable[[TotoSession, bytes], str]") -> None:
        """Replace the signature of responses (option ``hmac_enabled``).

        Args:
            handler: called as ``handler(session, response_body)`` in the gateway; what it returns
                is sent as ``x-toto-hmac``. It must not block.

        Raises:
            TypeError: for a coroutine function.
        """
        _refuse_coroutine(handler)
        TotoHandler.hmac_handlers = replace(TotoHandler.hmac_handlers, response=handler)

    # -- sessions

    @property
    def session(self) -> "TotoSession | None":
        """The session, once ``retrieve_session``, ``create_session`` or a decorator got it."""
        return self._sessions.session

    @session.setter
    def session(self, session: "TotoSession | None") -> None:
        self._sessions.session = session

    @property
    def db_connection(self) -> "DBConnection":
        """The accounts and sessions of this worker."""
        return self._sessions.connection

    @property
    def db(self) -> Any:
        """The database driver's own object: an SQLAlchemy engine, a Redis client and so on."""
        return self._sessions.connection.db

    def retrieve_session(self, session_id: str | None = None) -> "TotoSession | None":
        """Get the caller's session into ``session``, and return it; None if there is none.

        The gateway has loaded it and checked the signature already, so this is no round trip.

        Args:
            session_id: another session's id. With ``hmac_enabled`` the request must be signed with
                that session's key.

        Raises:
            TotoException: the signature was wrong (1008), or the store is away (1107).
        """
        return self._sessions.retrieve(session_id)

    def create_session(
        self,
        user_id: str | None = None,
        password: str | None = None,
        verify_password: bool = True,
    ) -> "TotoSession":
        """Make a session, put it into ``session`` and return it.

        Args:
            user_id: None makes an anonymous session. For a user the session that the call came with
                ends: an id known before the login must not be one of a logged-in user.
            password: the user's.
            verify_password: False skips the check of the password, for other ways to log in.

        Raises:
            TotoException: unknown user or wrong password (1005), too many attempts (1103), or the
                database is away (1107).
        """
        return self._sessions.create(user_id, password, verify_password)

    # -- the answer

    @property
    def cancelled(self) -> bool:
        """True when the gateway has given the call up, because the client has gone or the deadline
        has passed: a long method should stop. A stream that has begun has no deadline."""
        return self._port.is_cancelled

    @property
    def finished(self) -> bool:
        """True once the call has been answered."""
        return self._port.has_ended

    def respond(
        self,
        result: Any = None,
        error: BaseException | None = None,
        batch_results: Any = None,
        allow_async: bool = True,
    ) -> None:
        """Answer the call.

        Args:
            result: anything the request's format can carry.
            error: an exception; a ``TotoException`` reaches the client with its code and value.
            batch_results: accepted for Toto's sake and ignored.
            allow_async: accepted for Toto's sake and ignored.
        """
        del batch_results, allow_async
        self._port.respond(result, error)

    def respond_raw(
        self, body: bytes | str, content_type: str, finish: bool = True
    ) -> Awaitable[None]:
        """Answer with bytes of any content type.

        Args:
            body: text is encoded as UTF-8.
            content_type: the answer's ``Content-Type``; of several calls the first one's counts.
            finish: False keeps the answer open for more. A method in a thread is held back while
                the client is slow; a coroutine may await what is returned, to the same effect.
        """
        data = body.encode() if isinstance(body, str) else bytes(body)
        return self._port.respond_raw(data, _header_value(content_type), finish=finish)

    def set_status(self, status: int) -> None:
        """Choose the HTTP status of the answer, 200 to 599."""
        number = operator.index(status)
        if not 200 <= number <= 599:
            raise ValueError(f"not an HTTP status: {number}")
        self._port.set_status(int(number))

    def set_header(self, name: str, value: str) -> None:
        """Set a header of the answer, replacing earlier ones of that name.

        Raises:
            ValueError: when HTTP does not allow the name or the value (Latin-1 text without
                control characters), or all headers together exceed 16 KiB.
        """
        self._port.set_header(_header_name(name), _header_value(value))

    def add_header(self, name: str, value: str) -> None:
        """Add a header to the answer, beside earlier ones of that name; raises as set_header."""
        self._port.add_header(_header_name(name), _header_value(value))

    def redirect(self, url: str, permanent: bool = False) -> None:
        """Answer by sending the client to another address."""
        self._port.set_status(301 if permanent else 302)
        self.set_header("Location", url)
        self.respond_raw(b"", "text/plain; charset=utf-8")

    def error_info(self, error: BaseException) -> dict[str, Any]:
        """Return the error object a client gets for ``error``: code and value."""
        return self._port.error_info(error)


class BatchHandlerProxy:
    """Stands for the handler in a member of a batch; everything else passes through.

    ``respond`` answers this member's key only.
    """

    def __init__(self, handler: TotoHandler, request_key: str) -> None:
        self.handler = handler
        self.request_key = request_key

    def __getattr__(self, name: str) -> Any:
        return getattr(self.handler, name)

    @property
    def session(self) -> "TotoSession | None":
        """The session of this member."""
        return self.handler.session

    @session.setter
    def session(self, session: "TotoSession | None") -> None:
        self.handler.session = session

    def respond(
        self,
        result: Any = None,
        error: BaseException | None = None,
        allow_async: bool = True,
    ) -> None:
        """Answer this member of the batch."""
        self.handler.respond(result, error, allow_async=allow_async)


def _refuse_coroutine(handler: object) -> None:
    if inspect.iscoroutinefunction(handler):
        raise TypeError("an hmac handler must be a plain function, not async")


def _header_name(name: object) -> str:
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise ValueError(f"not a header name: {name!a}"[:100])
    return name


def _header_value(value: object) -> str:
    text = str(value) if isinstance(value, str | int | float) else ""
    if not _FIELD_VALUE.fullmatch(text):
        raise ValueError(f"not a header value: {value!a}"[:100])
    return text
