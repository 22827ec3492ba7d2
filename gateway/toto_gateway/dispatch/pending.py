"""One call on its way: what it asks for, where it is, and who waits for its answer. No I/O."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from toto._core.failure import Failure
from toto._wire.call_state import CallEvent, CallState, advance
from toto._wire.messages import Head, RequestInfo

if TYPE_CHECKING:
    from toto_gateway.dispatch.workers import WorkerView

__all__ = ["CallRequest", "PendingCall", "ReplySink"]


class ReplySink(Protocol):
    """Where the events of one call's answer go. Exactly one of them says that it is the last."""

    def on_chunk(self, head: Head | None, payload: bytes, *, code: int, final: bool) -> None:
        """Take a piece of an answer; ``final`` ends the call."""

    def on_item(self, head: Head | None, payload: bytes, *, more: bool, key: str = "") -> None:
        """Take a piece of a stream; the first one of an item may have its name."""

    def on_push(self, payload: bytes, *, more: bool) -> None:
        """Take a piece of a message beside the answer."""

    def on_failure(self, failure: Failure) -> None:
        """The call ended without an answer from the method."""


@dataclass(frozen=True, slots=True)
class CallRequest:
    """What is asked of the pool."""

    method: str
    body: bytes
    info: RequestInfo
    timeout_seconds: float
    """The method's own time limit, if it has one, goes before it."""
    in_batch: bool = False
    parent: "PendingCall | None" = None
    """The call whose method made this one; it waits, and its time limit holds for both."""


class PendingCall:
    """A call between its arrival and its end."""

    __slots__ = (
        "arrived_at",
        "attempt",
        "borrower",
        "call_id",
        "deadline",
        "depth",
        "is_extra",
        "is_fast",
        "is_waiting",
        "lane",
        "lender",
        "losses",
        "order",
        "request",
        "sink",
        "state",
        "waiting_below",
        "worker",
    )

    def __init__(
        self,
        call_id: int,
        request: CallRequest,
        sink: ReplySink,
        *,
        arrived_at: float,
        deadline: float,
    ) -> None:
        self.arrived_at = arrived_at
        self.call_id = call_id
        self.order = call_id
        self.request = request
        self.sink = sink
        self.deadline = deadline
        self.state = CallState.QUEUED
        self.attempt = 0
        self.losses = 0
        """How many workers were lost while they had it."""
        self.lane = 0
        self.is_fast = False
        self.is_waiting = False
        """True while it stands in a queue."""
        self.worker: WorkerView | None = None
        self.depth: int = 0 if request.parent is None else request.parent.depth + 1
        self.is_extra = False
        """True while it runs beside its worker's slots."""
        self.lender: PendingCall | None = None
        """The waiting call in whose place it does so."""
        self.borrower: PendingCall | None = None
        """The call that runs in its place."""
        self.waiting_below: list[PendingCall] = []
        """Calls that it waits for, through others perhaps, and that found no slot."""

    def advance(self, event: CallEvent) -> None:
        """Move to the state that follows ``event``.

        Raises:
            ProtocolError: when the call's state does not allow it.
        """
        self.state = advance(self.state, event)
        if self.state is CallState.ENDED:
            self.waiting_below = []

    def drop_body(self) -> None:
        """Let go of the body: the call will not be sent any more."""
        self.request = replace(self.request, body=b"")

    def callers(self) -> Iterator["PendingCall"]:
        """Yield the call whose method made this one, the one that made that, and so on."""
        above = self.request.parent
        while above is not None:
            yield above
            above = above.request.parent

    @property
    def is_ended(self) -> bool:
        """True once the caller has been told how the call ended."""
        return self.state is CallState.ENDED
