"""One session out of a batch: whose it is, what was changed, and what could not be saved."""

import asyncio
from dataclasses import dataclass, field

import pytest

from toto._core.request_signatures import RequestSignatures
from toto._core.stores.record import SessionRecord
from toto._core.stores.store import StoreUnavailable
from toto._wire.messages import SessionAnswer
from toto.handler import HmacHandlers
from toto.session import TotoSession
from toto_gateway.session_answers import MemberSession, SessionAnswers, Settled

ANN = SessionRecord("sid", "ann", 1.0, 100.0, "key", TotoSession.dumps({"a": 0, "b": 0}))
NOTHING = MemberSession(None, False)


@dataclass
class Store:
    """Holds one session, as another request may have left it."""

    record: SessionRecord | None = ANN
    is_away: bool = False
    saved: list[SessionRecord] = field(default_factory=list)

    async def load(self, session_id: str) -> SessionRecord | None:
        assert session_id == "sid"
        return self.record

    async def update(self, record: SessionRecord) -> str | None:
        if self.is_away:
            raise StoreUnavailable
        self.saved.append(record)
        return "new-id"


def seen(changed: dict[str, object] | None = None, expires: float = 100.0) -> MemberSession:
    changes = TotoSession.dumps({"set": changed, "removed": []}) if changed else b""
    return MemberSession(SessionAnswer("sid", "ann", expires, "key", False, changes), False)


def made(session_id: str) -> MemberSession:
    return MemberSession(SessionAnswer(session_id, "bob", 200.0, "key2", True), True)


def settle(store: Store, **members: MemberSession) -> Settled:
    signatures = RequestSignatures(is_enabled=True, scheme="v1", handlers=HmacHandlers())
    answers = SessionAnswers(signatures, None, store, store.update)
    return asyncio.run(answers.settle(ANN, members))


def test_a_session_that_was_only_looked_at_is_not_written() -> None:
    """The response tells of it all the same."""
    store = Store()

    settled = settle(store, a=seen(), b=NOTHING)

    assert settled == Settled(SessionAnswer("sid", "ann", 100.0, "key"), False)
    assert store.saved == []


def test_changes_are_applied_in_the_order_of_the_keys() -> None:
    """The last key wins, whichever member was first to end; others' changes stay."""
    store = Store()

    settle(store, c=seen({"b": 3}), a=seen({"a": 1, "b": 1}), b=seen({"b": 2}))

    assert [TotoSession.loads(record.state) for record in store.saved] == [{"a": 1, "b": 3}]


def test_changes_meet_what_another_request_saved_meanwhile() -> None:
    """The session is loaded again before they are applied."""
    store = Store(SessionRecord("sid", "ann", 1.0, 100.0, "key", TotoSession.dumps({"other": 1})))

    settle(store, a=seen({"a": 1}))

    assert TotoSession.loads(store.saved[0].state) == {"other": 1, "a": 1}


def test_the_id_may_change_and_the_latest_expiry_counts() -> None:
    """A client token is another one after each save."""
    settled = settle(Store(), a=seen(expires=150.0), b=seen({"a": 1}))

    assert settled.session == SessionAnswer("new-id", "ann", 150.0, "key")


def test_a_login_in_a_batch_is_the_batch_s_session() -> None:
    """The last one by key; the old session has ended and is not brought back."""
    store = Store()

    settled = settle(store, a=made("s1"), b=made("s2"), c=seen({"a": 1}))

    assert settled.session is not None
    assert (settled.session.session_id, settled.is_ended) == ("s2", True)
    assert store.saved == []


@pytest.mark.parametrize("store", [Store(record=None), Store()], ids=["gone", "logged out"])
def test_an_ended_session_is_not_brought_back(store: Store) -> None:
    """Whether this batch ended it, or another request."""
    member = {"b": MemberSession(None, True)} if store.record else {}

    settled = settle(store, a=seen({"a": 1}), **member)

    assert settled.session is None
    assert store.saved == []


def test_members_learn_that_their_changes_were_not_saved() -> None:
    """Only those who had any."""
    settled = settle(Store(is_away=True), a=seen({"a": 1}), b=seen(), c=NOTHING)

    assert settled.unsaved == frozenset({"a"})
    assert settled.session == SessionAnswer("sid", "ann", 100.0, "key")
