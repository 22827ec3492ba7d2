"""The life of one call as the gateway sees it: a table, and the only rule about its order.

A missing cell is a protocol error, never a silent transition. ENDED has no way out, so a call ends
exactly once.
"""

from enum import Enum

from toto._wire.codec import ProtocolError

__all__ = ["TRANSITIONS", "CallEvent", "CallState", "advance"]


class CallState(Enum):
    """Where a call is."""

    QUEUED = "queued"
    SENT = "sent"
    ANSWERING = "answering"
    """Chunks of a long answer are arriving."""
    STREAMING = "streaming"
    ENDED = "ended"


class CallEvent(Enum):
    """What can happen to a call."""

    SEND = "send"
    BOUNCE = "bounce"
    CHUNK = "chunk"
    ITEM = "item"
    RESULT = "result"
    LOST = "lost"
    """The worker or the connection to it went away."""
    ABANDON = "abandon"
    """The gateway gave the call up: client gone, deadline, refusal, shutdown."""


TRANSITIONS: dict[CallState, dict[CallEvent, CallState]] = {
    CallState.QUEUED: {
        CallEvent.SEND: CallState.SENT,
        CallEvent.ABANDON: CallState.ENDED,
    },
    CallState.SENT: {
        CallEvent.BOUNCE: CallState.QUEUED,
        CallEvent.CHUNK: CallState.ANSWERING,
        CallEvent.ITEM: CallState.STREAMING,
        CallEvent.RESULT: CallState.ENDED,
        CallEvent.LOST: CallState.ENDED,
        CallEvent.ABANDON: CallState.ENDED,
    },
    CallState.ANSWERING: {
        CallEvent.CHUNK: CallState.ANSWERING,
        CallEvent.RESULT: CallState.ENDED,
        CallEvent.LOST: CallState.ENDED,
        CallEvent.ABANDON: CallState.ENDED,
    },
    CallState.STREAMING: {
        CallEvent.ITEM: CallState.STREAMING,
        CallEvent.RESULT: CallState.ENDED,
        CallEvent.LOST: CallState.ENDED,
        CallEvent.ABANDON: CallState.ENDED,
    },
    CallState.ENDED: {},
}


def advance(state: CallState, event: CallEvent) -> CallState:
    """Return the state that follows.

    Raises:
        ProtocolError: when the event is not allowed in this state.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise ProtocolError(f"{event.value} for a call that is {state.value}") from None
