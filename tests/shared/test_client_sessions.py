"""Sessions in the token: they expire, they end, and a store that is away is survived a while."""

from dataclasses import replace
from typing import Any

import pytest

from toto._core.settings import load
from toto._core.stores.client_sessions import ClientSessionStore
from toto._core.stores.no_database import NoAccounts, open_no_database
from toto._core.stores.record import SessionRecord
from toto._core.stores.settings import StoreSettings
from toto._core.stores.store import Credentials, StoreUnavailable
from toto.clientsessioncache import ClientCache, make_client_cache
from toto.dbconnection import DBConnection
from toto.session import TotoSession
from toto_testkit.memory_stores import SettableClock
from toto_testkit.memory_world import World, refusal

KEY = "k" * 32
DAY = 86400.0


class ClientWorld(World):
    """Sessions with the client, accounts in memory; ``elsewhere`` is another process."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.use(self.connection)
        self.elsewhere = DBConnection(self.database, self.settings, clock=self.clock)
        self.use(self.elsewhere)
        self.connection.create_account("ann", "pw")

    def use(self, connection: DBConnection) -> None:
        connection.set_session_cache(self.cache())

    def cache(self) -> ClientCache:
        return make_client_cache([KEY], clock=self.clock)

    def store(self, connection: DBConnection | None = None) -> ClientSessionStore:
        store = (connection or self.connection).session_store
        assert isinstance(store, ClientSessionStore)
        return store

    def record(self, session: TotoSession) -> SessionRecord:
        record = self.store().decode(session.session_id)
        assert record is not None
        return record


def test_session_in_its_id() -> None:
    """Saving changes the session id, the new one holds the variables, and nothing is stored."""
    world = ClientWorld()
    session = world.connection.create_session("ann", "pw")
    first = session.session_id
    session["a"] = [1, b"2"]
    session.save()
    assert session.session_id != first
    found = world.elsewhere.retrieve_session(session.session_id)
    assert found is not None
    assert (found.user_id, found.key, found.state) == ("ann", session.key, {"a": [1, b"2"]})
    older = world.elsewhere.retrieve_session(first)
    assert older is not None
    assert older.state == {}
    assert world.memory.sessions == {}


def test_refresh() -> None:
    """``refresh`` goes back to what the token says."""
    session = ClientWorld().connection.create_session()
    session["a"] = 1
    session.save()
    session["a"] = 2
    session.refresh()
    assert session["a"] == 1


@pytest.mark.parametrize("token", ["x", "", "a" * 8192, "\0", "é", "\ud800", None])
def test_garbage(token: Any) -> None:
    """What is no token of ours is no session, and ending it no error."""
    world = ClientWorld()
    assert world.connection.retrieve_session(token) is None
    world.connection.remove_session(str(token))


def test_decode_asks_nobody() -> None:
    """Reading a token needs no store, not even for one that was ended."""
    world = ClientWorld()
    session = world.connection.create_session("ann", "pw")
    world.memory.operations.clear()
    world.memory.is_away = True
    record = world.store().decode(session.session_id)
    assert record is not None
    assert record.user_id == "ann"
    assert world.store().revocations.known(record) is None
    assert world.memory.operations == []


def test_too_many_variables() -> None:
    """A state too large for a token is error 1000 and leaves the session as it was."""
    session = ClientWorld().connection.create_session()
    token = session.session_id
    session["a"] = "x" * 10_000
    assert refusal(session.save)[0] == 1000
    assert session.session_id == token


def test_row_02_tokens_expire() -> None:
    """A token is refused from its expiry on, and cannot be saved or renewed to life."""
    world = ClientWorld()
    session = world.connection.create_session()
    world.clock.now += DAY - 0.001
    assert world.store().decode(session.session_id) is not None
    world.clock.now += 0.001
    assert world.store().decode(session.session_id) is None
    assert world.connection.retrieve_session(session.session_id) is None
    assert refusal(session.save) == (1007, "The session has ended.")
    assert world.connection.renew(session) is False


def test_row_02_tokens_have_a_greatest_age() -> None:
    """A token older than ``session_max_lifetime`` is refused, whatever expiry it carries."""
    world = ClientWorld(session_max_lifetime=100)
    now = world.clock.now
    token = world.store().create(SessionRecord("", None, now - 100, now + 1000))
    young = world.store().create(SessionRecord("", None, now - 99, now + 1000))
    assert world.connection.retrieve_session(token) is None
    assert world.connection.retrieve_session(young) is not None


def test_row_13_logout_ends_a_token() -> None:
    """An ended token is refused at once here, and within 5 s in other processes."""
    world = ClientWorld()
    session = world.connection.create_session("ann", "pw")
    other = world.connection.create_session("ann", "pw")
    assert world.elsewhere.retrieve_session(session.session_id) is not None
    world.connection.remove_session(session.session_id)
    assert world.connection.retrieve_session(session.session_id) is None
    assert world.elsewhere.retrieve_session(session.session_id) is not None
    world.clock.now += 5.001
    assert world.elsewhere.retrieve_session(session.session_id) is None
    assert world.elsewhere.retrieve_session(other.session_id) is not None
    assert refusal(session.save) == (1007, "The session has ended.")


def test_row_13_logout_ends_all_tokens_of_a_session() -> None:
    """Earlier and later tokens of one session end together, whichever one is given back."""
    world = ClientWorld(anon_session_ttl=1000, session_max_lifetime=5000)
    session = world.connection.create_session()
    first = session.session_id
    world.clock.now += 900
    assert world.connection.renew(session)
    last = session.session_id
    world.connection.remove_session(first)
    world.clock.now += 950  # the first token has expired, the last one would be valid
    assert world.store().decode(first) is None
    assert world.store().decode(last) is not None
    assert world.connection.retrieve_session(last) is None
    assert world.elsewhere.retrieve_session(last) is None


@pytest.mark.parametrize("how", ["change_password", "generate_password", "clear_sessions"])
def test_row_13_all_tokens_of_a_user_end(how: str) -> None:
    """A new password, or ending all sessions, ends the user's tokens and no others."""
    world = ClientWorld()
    world.connection.create_account("bob", "pw")
    anns = [world.connection.create_session("ann", "pw") for _ in range(2)]
    bob, anonymous = world.connection.create_session("bob", "pw"), world.connection.create_session()
    for session in (*anns, bob, anonymous):
        assert world.connection.retrieve_session(session.session_id) is not None
    arguments = ("ann", "pw", "new") if how == "change_password" else ("ann",)
    getattr(world.connection, how)(*arguments)
    for session in anns:
        assert world.connection.retrieve_session(session.session_id) is None
    assert world.connection.retrieve_session(bob.session_id) is not None
    assert world.connection.retrieve_session(anonymous.session_id) is not None
    again = world.connection.create_session("ann", verify_password=False)
    assert world.connection.retrieve_session(again.session_id) is not None


def test_row_13_tokens_of_a_vanished_account_end() -> None:
    """Without the account the token is none."""
    world = ClientWorld()
    session = world.connection.create_session("ann", "pw")
    world.memory.accounts.clear()
    assert world.connection.retrieve_session(session.session_id) is None


def test_row_13_verdicts_are_remembered_for_5_s() -> None:
    """A token in constant use costs the store two questions in 5 s, an anonymous one's one."""
    world = ClientWorld()
    user, anonymous = (
        world.connection.create_session("ann", "pw"),
        world.connection.create_session(),
    )
    for session, questions in (
        (user, ["accounts.credentials", "counters.counts"]),
        (anonymous, ["counters.counts"]),
    ):
        world.memory.operations.clear()
        for _ in range(6):
            assert world.store().load([session.session_id]) != [None]
            world.clock.now += 1
        assert world.memory.operations == questions
        assert world.store().revocations.known(world.record(session)) is None
        assert world.store().load([session.session_id]) != [None]
        assert world.memory.operations == questions * 2


def test_row_13_store_away() -> None:
    """While the store is away tokens are accepted for 60 s after its last answer, then refused
    with 1107, and accepted again once it is back. Ended ones are never accepted."""
    world = ClientWorld()
    known, unseen = (world.connection.create_session("ann", "pw") for _ in range(2))
    ended = world.connection.create_session("ann", "pw")
    world.connection.remove_session(ended.session_id)
    assert world.connection.retrieve_session(known.session_id) is not None
    world.memory.is_away = True
    for seconds in (0, 30, 30):
        world.clock.now += seconds
        assert world.connection.retrieve_session(known.session_id) is not None
        assert world.connection.retrieve_session(unseen.session_id) is not None
        assert world.connection.retrieve_session(ended.session_id) is None
    world.clock.now += 0.001
    assert refusal(world.connection.retrieve_session, known.session_id)[0] == 1107
    assert refusal(world.connection.retrieve_session, unseen.session_id)[0] == 1107
    world.memory.is_away = False
    assert world.connection.retrieve_session(known.session_id) is not None
    assert world.connection.retrieve_session(unseen.session_id) is not None
    assert world.connection.retrieve_session(ended.session_id) is None


def test_row_13_store_never_reached() -> None:
    """A process that has not heard of the store yet accepts no token unchecked."""
    world = ClientWorld()
    session = world.connection.create_session("ann", "pw")
    world.memory.is_away = True
    assert refusal(world.elsewhere.retrieve_session, session.session_id)[0] == 1107


def test_row_13_keeping_in_touch() -> None:
    """A process that asks now and then need not have checked any token when the store goes away;
    asking in vain does not count."""
    world = ClientWorld()
    session = world.connection.create_session("ann", "pw")
    elsewhere = world.elsewhere.session_store
    assert isinstance(elsewhere, ClientSessionStore)
    elsewhere.revocations.touch()
    world.memory.is_away = True
    world.clock.now += 60
    elsewhere.revocations.touch()
    assert world.elsewhere.retrieve_session(session.session_id) is not None
    world.clock.now += 1
    assert refusal(world.elsewhere.retrieve_session, session.session_id)[0] == 1107


def test_row_13_time_limit_of_the_store_leaves_the_grace() -> None:
    """A guard that gives up on a slow store is a store that is away, not the end of tokens."""
    world = ClientWorld()
    gives_up: list[bool] = []

    def guard(fn: Any, *args: Any, **keywords: Any) -> Any:
        if gives_up:
            raise StoreUnavailable
        return fn(*args, **keywords)

    guarded = DBConnection(world.database, world.settings, clock=world.clock, call=guard)
    world.use(guarded)
    session = guarded.create_session("ann", "pw")
    assert guarded.retrieve_session(session.session_id) is not None
    gives_up.append(True)
    world.clock.now += 30
    assert guarded.retrieve_session(session.session_id) is not None
    world.clock.now += 31
    assert refusal(guarded.retrieve_session, session.session_id)[0] == 1107


def test_row_13_clock_set_back() -> None:
    """A clock that is set back makes no verdict last longer."""
    world = ClientWorld()
    session = world.connection.create_session("ann", "pw")
    assert world.connection.retrieve_session(session.session_id) is not None
    world.clock.now -= 3600
    assert world.store().revocations.known(world.record(session)) is None
    world.memory.is_away = True
    assert refusal(world.connection.retrieve_session, session.session_id)[0] == 1107


def test_row_13_tokens_made_by_hand_can_be_ended() -> None:
    """A token for which nobody chose a name gets one, and keeps it when renewed."""
    world = ClientWorld()
    now = world.clock.now
    token = world.store().create(SessionRecord("", "ann", now, now + DAY))
    session = world.connection.retrieve_session(token)
    assert session is not None
    session["a"] = 1
    session.save()
    later = session.session_id
    assert later != token
    world.connection.remove_session(later)
    assert world.connection.retrieve_session(later) is None
    assert world.connection.retrieve_session(token) is None


def test_replaces_does_not_matter() -> None:
    """Nobody else can change what a token holds: each of two who write gets a token."""
    world = ClientWorld()
    store = world.store()
    now = world.clock.now
    token = store.create(SessionRecord("", None, now, now + DAY))
    record = world.record(world.connection.adopt(SessionRecord(token, None, now, now + DAY)))
    other = replace(record, state=b"other")
    tokens = [
        store.update(replace(record, state=b"new"), replaces=each) for each in (record, other)
    ]
    assert None not in tokens


def test_row_13_without_a_database() -> None:
    """With ``database = none`` nobody can be asked: tokens are valid until they expire."""
    clock = SettableClock()
    settings = load(StoreSettings, keywords={"database": "none"}).settings
    connection = DBConnection(open_no_database(), settings, clock=clock)
    connection.set_session_cache(make_client_cache([KEY], clock=clock))
    session = connection.create_session()
    session["a"] = 1
    session.save()
    connection.remove_session(session.session_id)
    found = connection.retrieve_session(session.session_id)
    assert found is not None
    assert found["a"] == 1
    clock.now += DAY
    assert connection.retrieve_session(session.session_id) is None


def test_row_13_account_store_without_a_database() -> None:
    """An account store of the application's is asked for the generation even so."""

    class OnlyAnn(NoAccounts):
        generation = 0

        def credentials(self, user_id: str) -> Credentials | None:
            return Credentials("", self.generation) if user_id == "ann" else None

        def end_sessions(self, user_id: str) -> None:
            self.generation += 1

    clock, accounts = SettableClock(), OnlyAnn()
    settings = load(StoreSettings, keywords={"database": "none"}).settings
    connection = DBConnection(open_no_database(), settings, clock=clock)
    connection.set_session_cache(make_client_cache([KEY], clock=clock))
    connection.set_account_store(accounts)
    session = connection.create_session("ann", verify_password=False)
    assert connection.retrieve_session(session.session_id) is not None
    connection.clear_sessions("ann")
    assert connection.retrieve_session(session.session_id) is None


def test_row_14_tokens_do_not_grow() -> None:
    """A token that is renewed again and again keeps its size and its end."""
    world = ClientWorld(anon_session_ttl=1000, session_max_lifetime=100_000)
    session = world.connection.create_session()
    session["a"] = 1
    session.save()
    length, end = len(session.session_id), world.clock.now + 100_000
    renewals = 0
    while (found := world.connection.retrieve_session(session.session_id)) is not None:
        renewals += found.session_id != session.session_id
        session = found
        assert abs(len(session.session_id) - length) <= 16
        assert session["a"] == 1
        assert session.expires <= end
        world.clock.now += 500
    assert renewals > 150
    assert world.clock.now == end
