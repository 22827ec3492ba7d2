"""The sessions of a batch: each member's changes go to its own, and one session is answered."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from toto._core.failure import Failure
from toto._core.stores.record import SessionRecord
from toto._core.stores.store import StoreUnavailable
from toto._wire.constants import Origin
from toto._wire.messages import SessionAnswer, SessionInfo
from toto.exceptions import (
    ERROR_INVALID_SESSION_ID,
    ERROR_NOT_AUTHORIZED,
    ERROR_SERVER,
    ERROR_UNAVAILABLE,
    TotoException,
)
from toto.session import TotoSession
from toto_gateway.authentication import NOBODY, Caller
from toto_gateway.batch_sessions import BatchSessions, MemberSession, Settled
from toto_gateway.sessions.changes import save_changes
from toto_testkit.memory_world import World

ANN = SessionRecord("sid", "ann", 1.0, 100.0, "key")
BOB = SessionRecord("bob-sid", "bob", 1.0, 500.0, "bob-key")
NOTHING = MemberSession()
AS_ANN = Caller(SessionInfo("sid"), ANN)
AS_BOB = Caller(SessionInfo("bob-sid"), BOB, is_by_parameter=True)


@dataclass
class Store:
    """Takes down what is saved, under a new id."""

    error: Exception | None = None
    is_gone: bool = False
    saved: list[tuple[str, list[object], float]] = field(default_factory=list)

    async def save(
        self, session_id: str, changes: Sequence[bytes], expires: float
    ) -> SessionRecord | None:
        if self.error is not None:
            raise self.error
        if self.is_gone:
            return None
        decoded = [TotoSession.loads(change)["set"] for change in changes]
        self.saved.append((session_id, decoded, expires))
        record = ANN if session_id == "sid" else BOB
        return replace(record, session_id=f"new-{session_id}", expires=expires)


def seen(
    changed: dict[str, object] | None = None, record: SessionRecord = ANN, expires: float = 0.0
) -> MemberSession:
    changes = TotoSession.dumps({"set": changed, "removed": []}) if changed else b""
    expires = expires or record.expires
    return MemberSession(
        SessionAnswer(record.session_id, record.user_id, expires, record.key, Origin.OWN, changes)
    )


def made(session_id: str, *, is_ended: bool = True) -> MemberSession:
    return MemberSession(SessionAnswer(session_id, "cem", 200.0, "key2", Origin.MADE), is_ended)


def settle(
    store: Store,
    *,
    caller: Caller = AS_ANN,
    others: dict[str, Caller | Failure] | None = None,
    **members: MemberSession,
) -> Settled:
    callers: dict[str, Caller | Failure] = dict.fromkeys(members, caller)
    callers.update(others or {})
    return asyncio.run(BatchSessions(store.save).settle(caller, callers, members))


def codes(settled: Settled) -> dict[str, int]:
    return {key: failure.code for key, failure in settled.failures.items()}


def test_a_session_that_was_only_looked_at_is_not_written() -> None:
    """The response tells of it all the same."""
    store = Store()

    settled = settle(store, a=seen(), b=NOTHING)

    assert settled == Settled(SessionAnswer("sid", "ann", 100.0, "key"))
    assert store.saved == []


def test_changes_are_saved_at_once_in_the_order_of_the_keys() -> None:
    """Whichever member was first to end; the id may change, and the latest expiry counts."""
    store = Store()

    settled = settle(store, c=seen({"b": 3}), a=seen({"a": 1}, expires=150.0), b=seen({"b": 2}))

    assert store.saved == [("sid", [{"a": 1}, {"b": 2}, {"b": 3}], 150.0)]
    assert settled.session == SessionAnswer("new-sid", "ann", 150.0, "key")


def test_a_session_named_by_a_member_gets_its_own_changes() -> None:
    """They once went into the session of the batch: one user's data into another's."""
    store = Store()

    settled = settle(
        store, a=seen({"n": 1}), b=seen({"secret": 2}, BOB, 900.0), others={"b": AS_BOB}
    )

    assert store.saved == [("sid", [{"n": 1}], 100.0), ("bob-sid", [{"secret": 2}], 900.0)]
    assert settled.session == SessionAnswer("new-sid", "ann", 100.0, "key")


def test_a_session_named_by_a_member_is_not_the_answer_s() -> None:
    """Not even when the batch came with none: its client never had it as its own."""
    store = Store()

    settled = settle(store, caller=NOBODY, b=seen({"n": 1}, BOB), others={"b": AS_BOB})

    assert store.saved == [("bob-sid", [{"n": 1}], 500.0)]
    assert settled == Settled()


def test_a_session_that_was_asked_for_by_id_is_not_the_answer_s() -> None:
    """The method's own look at it is nobody else's business."""
    loaded = MemberSession(SessionAnswer("other", "cem", 9.0, "k", Origin.LOADED))

    assert settle(Store(), a=loaded) == Settled()


def test_a_logout_of_another_session_ends_only_that() -> None:
    """The batch's own goes on, with its changes."""
    store = Store()
    ended = {"b": AS_BOB}

    settled = settle(store, a=seen({"n": 1}), b=MemberSession(None, True), others=dict(ended))

    assert settled.is_ended is False
    assert settled.failures == {}
    assert store.saved == [("sid", [{"n": 1}], 100.0)]


def test_a_login_in_a_batch_is_the_batch_s_session() -> None:
    """The last one by key; who changed the old session learns that it has ended."""
    store = Store()

    settled = settle(store, a=made("s1"), b=made("s2"), c=seen({"a": 1}), d=seen())

    assert settled.session is not None
    assert (settled.session.session_id, settled.is_ended) == ("s2", True)
    assert codes(settled) == {"c": ERROR_INVALID_SESSION_ID}
    assert store.saved == []


def test_a_login_without_a_session_before_ends_none() -> None:
    """There is no cookie to clear, and one to set."""
    settled = settle(Store(), caller=NOBODY, a=made("s1", is_ended=False))

    assert settled.session is not None
    assert (settled.session.session_id, settled.is_ended) == ("s1", False)


@pytest.mark.parametrize(
    ("store", "code", "is_told"),
    [
        (Store(error=StoreUnavailable()), ERROR_UNAVAILABLE, True),
        (Store(error=TotoException(ERROR_SERVER, "too large")), ERROR_SERVER, True),
        (Store(is_gone=True), ERROR_INVALID_SESSION_ID, False),
    ],
    ids=["away", "too large", "ended"],
)
def test_members_learn_why_their_changes_were_not_saved(
    store: Store, code: int, is_told: bool
) -> None:
    """Only those who had any."""
    settled = settle(store, a=seen({"a": 1}), b=seen(), c=NOTHING)

    assert codes(settled) == {"a": code}
    assert (settled.session is not None) == is_told


def test_a_member_that_was_refused_counts_for_nothing() -> None:
    """It has neither a caller nor a session."""
    refused = Failure(ERROR_NOT_AUTHORIZED, "Not authorized")

    assert settle(Store(), a=seen(), b=NOTHING, others={"b": refused}).session is not None


def test_changes_meet_what_another_request_saved_meanwhile() -> None:
    """The session is loaded again before they are applied, and an expiry never goes back."""
    world = World()
    session = world.connection.create_session()
    session["other"] = 1
    session.save()
    change = TotoSession.dumps({"set": {"a": 1}, "removed": []})

    saved = save_changes(world.connection, session.session_id, [change], 5.0)

    assert saved is not None
    assert saved.expires == session.expires
    again = world.connection.retrieve_session(session.session_id)
    assert again is not None
    assert dict(again.items()) == {"other": 1, "a": 1}


def test_a_session_that_has_ended_is_not_brought_back() -> None:
    """By a save of a batch no more than by any other."""
    world = World()
    session = world.connection.create_session()
    world.connection.remove_session(session.session_id)

    assert save_changes(world.connection, session.session_id, [], 5.0) is None
