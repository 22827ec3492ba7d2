"""What the calls of a worker need of the connection to a gateway, and of the thread that has it."""

from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from toto._wire.messages import Message

if TYPE_CHECKING:
    from toto_worker.call import WorkerCall
    from toto_worker.calls import CallDesk

__all__ = ["LinkPort", "LinkState", "TransportPort"]


class LinkState(Enum):
    """How far the handshake has come."""

    AWAY = auto()
    """Not connected; the connection is tried again."""
    GREETING = auto()
    """Connected; HELLO is due or under way."""
    LIVE = auto()
    DRAINED = auto()
    """The gateway has said that it will send no more calls."""
    REFUSED = auto()


LIVE_STATES = (LinkState.LIVE, LinkState.DRAINED)


class LinkPort(Protocol):
    """The connection to one gateway process, used by the transport thread alone."""

    endpoint: str
    state: LinkState
    epoch: int
    window_bytes: int
    calls: "dict[int, WorkerCall]"
    """Those that came over it and have not ended."""

    @property
    def is_live(self) -> bool:
        """True while messages about calls may be exchanged."""

    def send(self, message: Message, payload: bytes = b"") -> bool:
        """Send a message; False when the gateway is away."""


class TransportPort(Protocol):
    """The thread that talks to the gateways."""

    desk: "CallDesk"

    @property
    def is_current(self) -> bool:
        """True in that thread itself, which must never wait for an answer."""

    def post(self, action: Callable[[], None]) -> None:
        """Run ``action`` there, soon and in order; any thread may call this."""
