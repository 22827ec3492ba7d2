"""What ``invoke(handler, parameters)`` is given: the request, and the ways to answer it."""

import operator
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from toto._core.answer_headers import cookie_line, cookie_of, header_name, header_value
from toto._core.event_methods import EventMethods
from toto._core.hooks import HookedHandler
from toto._core.request import Request
from toto._core.stream_item import StreamItem

if TYPE_CHECKING:
    from toto._core.ports import HandlerPorts
    from toto.dbconnection import DBConnection
    from toto.session import TotoSession

__all__ = ["BatchHandlerProxy", "Request", "StreamItem", "TotoHandler"]

_MAKING = threading.Lock()
"""Two threads that ask for a transaction id at once get the same one."""


class TotoHandler(EventMethods, HookedHandler):
    """The handle on one call, passed to ``invoke`` as its first argument.

    The worker makes one for every call. Answering may happen in any thread; the first answer
    counts, a later one is dropped with a log line at debug level.
    """

    def __init__(
        self,
        request: Request,
        ports: "HandlerPorts",
        *,
        request_id: str,
        deadline: float,
        close_hook: Callable[[Any], Any] | None = None,
    ) -> None:
        self.request = request
        self.request_id = request_id
        """Names the HTTP request in the logs of gateway and worker (header ``x-request-id``)."""
        self.deadline = deadline
        """``time.monotonic()`` after which nobody waits for the answer."""
        self.headers_only = request.verb == "HEAD"
        """True when no body will be sent, so that a method may save itself the work."""
        self._response = ports.response
        self._sessions = ports.sessions
        self._calls = ports.calls
        self._close_hook = close_hook
        self._event_signatures = {}
        self._subscriptions = {}
        self._is_winding_up = False
        self._transaction_id: uuid.UUID | None = None

    @property
    def transaction_id(self) -> uuid.UUID:
        """Names this call; each member of a batch has its own."""
        # Made when it is first asked for: it takes longer than all else of a handler.
        with _MAKING:
            made = self._transaction_id = self._transaction_id or uuid.uuid4()
        return made

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

    # -- other methods

    def call(self, method: str, parameters: Any = None) -> Awaitable[Any]:
        """Call another method and await its result, in a coroutine.

        The call goes through the gateway to any worker that serves the method. It has this call's
        session, deadline and request, and ends with it; a method that streams gives the list of
        its items. A session that it made (a login) becomes this call's.

        Args:
            method: its name, such as ``"account.login"``.
            parameters: what msgpack can carry; None stands for no parameters.

        Returns:
            An awaitable of the result.

        Raises:
            TotoException: what the method raised, with its code and value; or that it is unknown
                (1001), was refused (1004, 1103, 1104), was lost (1105), took too long (1106), or
                that calls are nested too deeply or the parameters cannot be encoded (1000).
            RuntimeError: no event loop runs here (a plain function takes ``call_sync``), or this
                call has been answered.
        """
        return self._calls.call(method, parameters)

    def call_sync(self, method: str, parameters: Any = None) -> Any:
        """Call another method and wait for its result, in a plain function or a generator.

        While it waits, the call that it makes may run in its place: a worker with a single thread
        can call itself.

        Args:
            method: as for ``call``.
            parameters: as for ``call``.

        Raises:
            TotoException: as ``call`` does.
            RuntimeError: on an event loop, which must not wait.
        """
        return self._calls.call_sync(method, parameters)

    # -- the client

    @property
    def last_event_id(self) -> str:
        """The name of the last item that the client of a ``resumable`` stream has seen, which it
        gives when it comes back (header ``Last-Event-ID``); empty otherwise."""
        return self.request.headers.get("last-event-id", "")

    def send_message(self, data: Any, message_id: Any = None) -> Awaitable[None]:
        """Send a message to the client of a WebSocket, beside the answer and before it.

        Args:
            data: anything the call's format can carry, up to 8 MiB of it.
            message_id: makes the message ``{"message_id": ..., "data": ...}``; None sends ``data``
                alone.

        Returns:
            On the event loop, what can be awaited until the client has room for more; a plain
            function has waited for that already.

        Raises:
            RuntimeError: the call did not come over a WebSocket, or as a member of a batch.
        """
        message = data if message_id is None else {"message_id": message_id, "data": data}
        return self._response.send_message(message)

    def on_connection_close(self) -> None:
        """The client has gone while the method runs or is parked. The worker calls it, once.

        It calls the function ``on_connection_close(handler)`` of the method's module.
        """
        self._on_close(self)

    def _on_close(self, shown: Any) -> None:
        hook, self._close_hook = self._close_hook, None
        if hook is not None:
            hook(shown)

    # -- the answer

    @property
    def response_type(self) -> str:
        """Content type the result is encoded in, for instance ``application/json``.

        It can be set to another format's, and to any type for the bytes of a ``raw_response``.

        Raises:
            ValueError: when HTTP does not allow the text.
        """
        return self._response.response_type

    @response_type.setter
    def response_type(self, content_type: str) -> None:
        self._response.response_type = header_value(content_type)

    @property
    def cancelled(self) -> bool:
        """True when the gateway has given the call up, because the client has gone or the deadline
        has passed: a long method should stop. A stream that has begun has no deadline."""
        return self._response.is_cancelled

    @property
    def finished(self) -> bool:
        """True once the call has been answered."""
        return self._response.has_ended

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
        self._response.respond(result, error)

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
        return self._response.respond_raw(data, header_value(content_type), finish=finish)

    def set_status(self, status: int) -> None:
        """Choose the HTTP status of the answer, 200 to 599."""
        number = operator.index(status)
        if not 200 <= number <= 599:
            raise ValueError(f"not an HTTP status: {number}")
        self._response.set_status(int(number))

    def set_header(self, name: str, value: str) -> None:
        """Set a header of the answer, replacing earlier ones of that name.

        Raises:
            ValueError: when HTTP does not allow the name or the value (Latin-1 text without
                control characters), or all headers together exceed 16 KiB.
        """
        self._response.set_header(header_name(name), header_value(value))

    def add_header(self, name: str, value: str) -> None:
        """Add a header to the answer, beside earlier ones of that name; raises as set_header."""
        self._response.add_header(header_name(name), header_value(value))

    def redirect(self, url: str, permanent: bool = False, status: int | None = None) -> None:
        """Answer by sending the client to another address.

        Args:
            url: the address, absolute or relative.
            permanent: answer 301 instead of 302.
            status: another status, 300 to 399.
        """
        number = operator.index(status) if status else 301 if permanent else 302
        if not 300 <= number <= 399:
            raise ValueError(f"not a redirecting HTTP status: {number}")
        self._response.redirect(header_value(url), number)

    def get_cookie(self, name: str, default: str | None = None) -> str | None:
        """Return a cookie of the request, or ``default``."""
        value = cookie_of(self.request.headers.get("cookie", ""), name)
        return default if value is None else value

    def set_cookie(
        self,
        name: str,
        value: str,
        domain: str | None = None,
        expires: float | datetime | None = None,
        path: str = "/",
        expires_days: float | None = None,
        **attributes: Any,
    ) -> None:
        """Set a cookie of the answer; the parameters are those of Tornado.

        Args:
            name: a name that HTTP allows.
            value: text without control characters.
            domain: the domain and its subdomains get it; without one, this host alone.
            expires: when it ends, as seconds since the epoch or a datetime (UTC if it is naive).
            path: below which it is sent back.
            expires_days: in how many days it ends, unless ``expires`` says when.
            attributes: others, such as ``max_age`` (seconds), ``secure``, ``httponly``,
                ``samesite``.

        Raises:
            ValueError: for a name, value or attribute that is not allowed.
        """
        if expires is None and expires_days is not None:
            expires = time.time() + expires_days * 86_400
        given = {"domain": domain, "expires": expires, "path": path, **attributes}
        self._response.add_header("Set-Cookie", cookie_line(name, value, given))

    def clear_cookie(self, name: str, path: str = "/", domain: str | None = None) -> None:
        """Have the client forget a cookie, which was set with this path and domain."""
        self.set_cookie(name, "", domain, expires=0.0, path=path, max_age=0)

    def error_info(self, error: BaseException) -> dict[str, Any]:
        """Return the error object a client gets for ``error``: code and value."""
        return self._response.error_info(error)


class BatchHandlerProxy:
    """Stands for the handler in a member of a batch; everything else passes through.

    ``respond`` answers this member's key only.
    """

    handler: TotoHandler
    request_key: str

    def __init__(self, handler: TotoHandler, request_key: str) -> None:
        self.handler = handler
        self.request_key = request_key

    def __getattr__(self, name: str) -> Any:
        return getattr(self.handler, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("handler", "request_key"):
            super().__setattr__(name, value)
        else:
            setattr(self.handler, name, value)

    def on_connection_close(self) -> None:
        """The client has gone: call the function of the method's module, with this proxy."""
        self.handler._on_close(self)

    def respond(
        self,
        result: Any = None,
        error: BaseException | None = None,
        allow_async: bool = True,
    ) -> None:
        """Answer this member of the batch."""
        self.handler.respond(result, error, allow_async=allow_async)
