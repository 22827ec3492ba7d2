"""The life of one call as the gateway sees it: a table, and the only rule about its order.

A missing cell is a protocol error, never a silent transition. ENDED has no way out, so a call ends
exactly once.
"""

from enum import IntEnum

from toto._wire.codec import ProtocolError

__all__ = ["TRANSITIONS", "CallEvent", "CallState", "advance"]


class CallState(IntEnum):
    """Where a call is. (An IntEnum, because a plain enumeration hashes in Python code.)"""

    QUEUED = 0
    SENT = 1
    ANSWERING = 2
    """Chunks of a long answer are arriving."""
    STREAMING = 3
    ENDED = 4


class CallEvent(IntEnum):
    """What can happen to a call."""

    SEND = 0
    BOUNCE = 1
    CHUNK = 2
    ITEM = 3
    RESULT = 4
    LOST = 5
    """The worker or the connection to it went away."""
    ABANDON = 6
    """The gateway gave the call up: client gone, deadline, refusal, shutdown."""
    RETRY = 7
    """The worker went away, nothing of the answer had come, and the method may be run again."""


TRANSITIONS: dict[CallState, dict[CallEvent, CallState]] = {
    CallState.QUEUED: {
        CallEvent.SEND: CallState.SENT,
        CallEvent.ABANDON: CallState.ENDED,
    },
    CallState.SENT: {
        CallEvent.BOUNCE: CallState.QUEUED,
        CallEvent.RETRY: CallState.QUEUED,
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
        raise ProtocolError(f"{event.name} for a call that is {state.name}") from None
