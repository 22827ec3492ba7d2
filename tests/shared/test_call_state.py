"""Every cell of the table of a call's life."""

import itertools

import pytest

from toto._wire.call_state import TRANSITIONS, CallEvent, CallState, advance
from toto._wire.codec import ProtocolError

Q, S, A, T, E = CallState
ALLOWED = {
    (Q, CallEvent.SEND): S,
    (Q, CallEvent.ABANDON): E,
    (S, CallEvent.BOUNCE): Q,
    (S, CallEvent.RETRY): Q,
    (S, CallEvent.CHUNK): A,
    (S, CallEvent.ITEM): T,
    (S, CallEvent.RESULT): E,
    (S, CallEvent.LOST): E,
    (S, CallEvent.ABANDON): E,
    (A, CallEvent.CHUNK): A,
    (A, CallEvent.RESULT): E,
    (A, CallEvent.LOST): E,
    (A, CallEvent.ABANDON): E,
    (T, CallEvent.ITEM): T,
    (T, CallEvent.RESULT): E,
    (T, CallEvent.LOST): E,
    (T, CallEvent.ABANDON): E,
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(CallState, CallEvent)))
def test_each_event_in_each_state(state: CallState, event: CallEvent) -> None:
    """An event leads to the next state, or is an error; there is no third way."""
    if (state, event) in ALLOWED:
        assert advance(state, event) is ALLOWED[state, event]
    else:
        with pytest.raises(ProtocolError, match=f"{event.name} for a call that is {state.name}"):
            advance(state, event)


def test_an_ended_call_stays_ended() -> None:
    """So no caller gets two answers."""
    assert TRANSITIONS[CallState.ENDED] == {}
