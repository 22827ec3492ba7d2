"""When sessions expire and when they are renewed."""

from typing import Any

import pytest

from toto.dbconnection import DBConnection
from toto.session import TotoSession
from toto_testkit.memory_world import World

DAY = 86400.0


def test_row_14_renewal_writes_once_per_hundredth() -> None:
    """Constant use of a session writes it once in a hundredth of its lifetime."""
    world = World(session_ttl=1000, session_max_lifetime=100_000)
    world.connection.create_account("ann", "pw")
    session = world.connection.create_session("ann", "pw")
    start = world.clock.now
    for _ in range(1000):
        world.clock.now += 1
        assert world.connection.retrieve_session(session.session_id) is not None
    assert world.memory.operations.count("sessions.update") == 100
    renewed = world.connection.retrieve_session(session.session_id)
    assert renewed is not None
    assert renewed.expires == start + 2000


def test_row_14_lifetime_has_an_end() -> None:
    """However often it is used, a session ends after ``session_max_lifetime``."""
    world = World(anon_session_ttl=1000, session_max_lifetime=2500)
    session = world.connection.create_session()
    assert session.expires == world.clock.now + 1000
    end = world.clock.now + 2500
    while world.clock.now < end - 100:
        world.clock.now += 100
        found = world.connection.retrieve_session(session.session_id)
        assert found is not None
        assert found.expires <= end
    world.clock.now = end
    assert world.connection.retrieve_session(session.session_id) is None


@pytest.mark.parametrize(
    ("age", "expected"), [(599, None), (600, None), (601, 1601), (700, 1700), (999, 1999)]
)
def test_row_14_renewed_when_little_is_left(age: int, expected: int | None) -> None:
    """With ``session_renew`` a session is renewed once less than that is left of it."""
    world = World(session_ttl=1000, session_renew=400, session_max_lifetime=100_000)
    world.connection.create_account("ann", "pw")
    session = world.connection.create_session("ann", "pw")
    start = world.clock.now
    world.clock.now += age
    assert world.connection.renew(session) is (expected is not None)
    assert session.expires == start + (expected or 1000)


def test_row_14_first_expiry_is_capped() -> None:
    """A lifetime longer than ``session_max_lifetime`` is cut to it."""
    world = World(session_ttl=1000, anon_session_ttl=1000, session_max_lifetime=300)
    assert world.connection.create_session().expires == world.clock.now + 300


def test_row_14_renewal_saves_no_variables() -> None:
    """Renewal leaves unsaved variables unsaved, and they can be saved afterwards."""
    world = World(anon_session_ttl=1000, session_max_lifetime=100_000)
    session = world.connection.create_session()
    session["a"] = 1
    world.clock.now += 500
    assert world.connection.renew(session) is True
    stored = world.connection.load_record(session.session_id)
    assert stored is not None
    assert (stored.state, stored.expires) == (b"", world.clock.now + 1000)
    session.save()
    stored = world.connection.load_record(session.session_id)
    assert stored is not None
    assert TotoSession.loads(stored.state) == {"a": 1}
    assert stored.expires == world.clock.now + 1000


def test_row_14_adopting_does_not_renew() -> None:
    """A session the gateway has loaded is taken over without a write."""
    world = World()
    record = world.connection.create_session().loaded_record()
    world.clock.now += DAY / 2
    before = list(world.memory.operations)
    session = world.connection.adopt(record)
    assert session.expires == record.expires
    assert session.record() == record
    assert world.memory.operations == before


@pytest.mark.parametrize("is_removed", [False, True])
def test_row_14_renewal_does_not_undo_what_another_process_does(is_removed: bool) -> None:
    """A save or a logout right between the reading and the writing of the renewal stays."""
    world = World(anon_session_ttl=1000, session_max_lifetime=100_000)
    session_id = world.connection.create_session().session_id
    other: Any = world.connection.retrieve_session(session_id)
    other["a"] = 1
    world.clock.now += 500

    def late(fn: Any, *args: Any, **kwargs: Any) -> Any:
        if fn == world.database.sessions.update:
            world.connection.remove_session(session_id) if is_removed else other.save()
        return fn(*args, **kwargs)

    slow = DBConnection(world.database, world.settings, clock=world.clock, call=late)
    renewed = slow.retrieve_session(session_id)

    stored = world.connection.load_record(session_id)
    if is_removed:
        assert (renewed, stored) == (None, None)
    else:
        assert stored is not None
        assert TotoSession.loads(stored.state) == {"a": 1}
        assert renewed is not None
        assert renewed.expires == world.clock.now + 500
