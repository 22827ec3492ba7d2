"""What a call knows of the sessions its method ends, without asking the store."""

from typing import Any

import pytest

from toto._wire.constants import Origin
from toto.clientsessioncache import make_client_cache
from toto.session import TotoSession, TotoSessionCache
from toto_testkit.calling import calling, login
from toto_testkit.memory_world import World


@pytest.fixture
def world() -> World:
    made = World(session_ttl="1000s")
    made.connection.create_account("ann", "pw")
    return made


def with_tokens(world: World) -> None:
    world.connection.set_session_cache(make_client_cache(["k" * 32]))


def test_the_own_session_is_known_by_both_of_its_tokens(world: World) -> None:
    """After a save the id is another; the one the call came with would load the old variables."""
    with_tokens(world)
    record = login(world)
    sessions: Any = calling(world, record)
    session = sessions.retrieve(None)
    session["n"] = 1
    session.save()

    saved_id = session.session_id
    assert saved_id != record.session_id
    assert sessions.retrieve(record.session_id) is session
    assert sessions.retrieve(saved_id) is session
    sessions.session = None
    assert sessions.retrieve(record.session_id) is session
    assert session["n"] == 1


def test_a_dropped_session_comes_back_as_it_was_saved(world: World) -> None:
    """Loaded again from what the gateway sent, it would undo the save."""
    sessions = calling(world, login(world))
    session: Any = sessions.retrieve(None)
    session["n"] = 1
    session.save()
    sessions.session = None

    assert sessions.retrieve(None) is session


@pytest.mark.parametrize("is_saved", [False, True])
def test_logout_ends_the_session_under_either_token(world: World, is_saved: bool) -> None:
    """Whichever id the method removes, it is the session the call came with."""
    with_tokens(world)
    record = login(world)
    sessions = calling(world, record)
    session: Any = sessions.retrieve(None)
    session["n"] = 1
    session.save()

    sessions.connection.remove_session(session.session_id if is_saved else record.session_id)

    assert sessions.is_own_ended
    assert sessions.answer() is None
    assert sessions.retrieve(None) is None


def test_removing_another_session_ends_not_the_own_one(world: World) -> None:
    """A user may end the session of a lost telephone."""
    other = login(world)
    sessions = calling(world, login(world))
    sessions.retrieve(None)

    sessions.connection.remove_session(other.session_id)
    sessions.connection.clear_sessions("bob")

    assert not sessions.is_own_ended
    assert sessions.answer() is not None


@pytest.mark.parametrize("is_asked_for", [False, True])
@pytest.mark.parametrize("way", ["clear", "change", "generate"])
def test_the_own_session_ends_with_all_of_the_user(
    world: World, way: str, is_asked_for: bool
) -> None:
    """By ``clear_sessions`` and both ways to set a password, whether it was asked for or not."""
    sessions = calling(world, login(world))
    if is_asked_for:
        sessions.retrieve(None)

    if way == "clear":
        sessions.connection.clear_sessions("Ann")
    elif way == "change":
        sessions.connection.change_password("ann", "pw", "new")
    else:
        sessions.connection.generate_password("ann")

    assert sessions.is_own_ended
    assert sessions.answer() is None
    assert sessions.retrieve(None) is None


def test_a_new_password_ends_the_own_session_and_makes_another(world: World) -> None:
    """As account.update does."""
    record = login(world)
    sessions = calling(world, record)
    sessions.retrieve(None)

    sessions.connection.change_password("ann", "pw", "new")
    session = sessions.create("ann", None, False)

    answer = sessions.answer()
    assert answer is not None
    assert (answer.session_id, answer.origin) == (session.session_id, Origin.MADE)
    assert sessions.is_own_ended
    assert world.connection.load_record(session.session_id) is not None


class OwnCache(TotoSessionCache):
    """Cannot end all sessions of a user."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}

    def store_session(self, session_data: dict[str, Any]) -> None:
        self.kept[session_data["session_id"]] = session_data

    def load_session(self, session_id: str) -> dict[str, Any] | None:
        return self.kept.get(session_id)

    def remove_session(self, session_id: str) -> None:
        self.kept.pop(session_id, None)


def test_what_a_cache_cannot_end_has_not_ended(world: World) -> None:
    """The session goes on after ``clear_sessions``, until the login that follows ends it."""
    cache = OwnCache()
    world.connection.set_session_cache(cache)
    record = login(world)
    sessions = calling(world, record)

    sessions.connection.clear_sessions("ann")
    assert not sessions.is_own_ended
    sessions.create("ann", None, False)

    assert sessions.is_own_ended
    assert record.session_id not in cache.kept


def test_a_session_that_was_made_and_ended_is_not_told(world: World) -> None:
    """Its id would be of no use to the client."""
    sessions = calling(world)
    session = sessions.create("ann", "pw", True)
    sessions.connection.remove_session(session.session_id)
    assert sessions.answer() is None
    assert not sessions.is_own_ended

    sessions.create("ann", "pw", True)
    assert sessions.answer() is not None
    sessions.connection.clear_sessions("ann")
    assert sessions.answer() is None


def test_a_session_that_the_method_sets_is_known_for_made_or_loaded(world: World) -> None:
    """By what the call did, not by what it did last."""
    record = login(world)
    sessions = calling(world)
    made = sessions.connection.create_session("ann", "pw")
    loaded = sessions.connection.retrieve_session(record.session_id)

    def origin(session: TotoSession | None) -> int | None:
        sessions.session = session
        answer = sessions.answer()
        return None if answer is None else answer.origin

    assert origin(made) == Origin.MADE
    assert origin(loaded) == Origin.LOADED
    assert origin(made) == Origin.MADE


def test_calls_do_not_see_what_other_calls_end(world: World) -> None:
    """The connection of a call tells that call only."""
    record = login(world)
    one, two = calling(world, record), calling(world, record)

    one.connection.remove_session(record.session_id)

    assert (one.is_own_ended, two.is_own_ended) == (True, False)
