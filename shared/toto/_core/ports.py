"""What a handler leans on; the worker provides it. Any thread may call any of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from toto.dbconnection import DBConnection
    from toto.session import TotoSession

__all__ = ["CallPort", "HandlerPorts", "ResponsePort", "SessionPort"]


class ResponsePort(Protocol):
    """Where a handler's answers go."""

    @property
    def response_type(self) -> str:
        """Content type the result is encoded in."""

    @response_type.setter
    def response_type(self, content_type: str) -> None: ...

    def respond(self, result: Any, error: BaseException | None) -> None:
        """End the call with a result or an error."""

    def respond_raw(self, body: bytes, content_type: str, *, finish: bool) -> Awaitable[None]:
        """Send bytes, and end the call if ``finish``."""

    def send_message(self, message: Any) -> Awaitable[None]:
        """Send a message to the client of a WebSocket."""

    def redirect(self, url: str, status: int) -> None:
        """End the call by sending the client to another address."""

    def set_status(self, status: int) -> None:
        """Choose the HTTP status of the answer."""

    def set_header(self, name: str, value: str) -> None:
        """Set a header of the answer, replacing earlier ones of the name."""

    def add_header(self, name: str, value: str) -> None:
        """Add a header to the answer."""

    def on_wind_up(self, hook: Callable[[], None]) -> None:
        """Have a function called, in whatever thread, when the gateway is about to stop and calls
        that merely wait for events should end."""

    def error_info(self, error: BaseException) -> dict[str, Any]:
        """Return the error object the client gets for an exception."""

    @property
    def is_cancelled(self) -> bool:
        """True when nobody waits for the answer any more."""

    @property
    def has_ended(self) -> bool:
        """True once the call has been answered."""


class SessionPort(Protocol):
    """Where a handler's session comes from. It may block on a database."""

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


class CallPort(Protocol):
    """How a method calls another one."""

    def call(self, method: str, parameters: Any) -> Awaitable[Any]:
        """Call a method from a coroutine; the awaitable gives its result."""

    def call_sync(self, method: str, parameters: Any) -> Any:
        """Call a method from a thread and wait for its result."""


@dataclass(frozen=True, slots=True)
class HandlerPorts:
    """All of them, for one call."""

    response: ResponsePort
    sessions: SessionPort
    calls: CallPort
