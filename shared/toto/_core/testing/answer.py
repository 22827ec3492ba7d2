"""What a method answered to a test's call."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tornado.httputil import HTTPHeaders

from toto.exceptions import TotoException

if TYPE_CHECKING:
    from toto.session import TotoSession

__all__ = ["Answer", "SentEvent"]


class SentEvent(NamedTuple):
    """What a method gave to ``EventManager.send``."""

    name: str
    args: Any
    broadcast: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What ``call_method`` returns: the answer as a client would get it, taken apart."""

    method: str
    """The method's name, as log lines have it."""
    status: int
    """The HTTP status."""
    headers: HTTPHeaders
    """The headers that the method has set, and the content type; ``get_list(name)`` gives all of
    one name."""
    content_type: str
    """The content type of the body."""
    body: bytes
    """The body: an encoded document, or the bytes of a raw answer. Empty after HEAD. Also empty for
    a generator's items, which the gateway writes in the form that the client accepts."""
    returned: Any = None
    """The decoded result; None after an error or a raw answer."""
    error: TotoException | None = None
    """What the client is told of an error: its ``code`` and ``value``."""
    items: list[Any] | None = None
    """What a generator yielded, decoded, also before an error; None for other methods and for the
    bytes of a raw answer."""
    session: "TotoSession | None" = None
    """The client's session after the call, as it was saved; None if there is none or it has ended.
    It can be given to the next call."""
    events: list[SentEvent] = field(default_factory=list)
    """What was sent through the ``EventManager``, in order. Handlers of this process get it, too,
    as long as the call lasts."""

    @property
    def result(self) -> Any:
        """The decoded result; of a generator the list of its items.

        Raises:
            TotoException: the call ended with an error.
        """
        if self.error is not None:
            raise self.error
        return self.returned
