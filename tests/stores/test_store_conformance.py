"""What every store promises of sessions, and of a database as a whole."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toto._core.stores.record import SessionRecord, generate_session_id
from toto._core.stores.store import Database
from toto_testkit.stores import (
    HOSTILE_TEXTS,
    OpenedStore,
    at_once,
    load_one,
    make_record,
    open_database,
)
from toto_testkit.waiting import poll_until

FAR_PAST = 1_000_000_000.0


def test_session_comes_back_whole(store: Database, user: str) -> None:
    """Every field of a record is loaded as it was created."""
    record = make_record(user)

    session_id = store.sessions.create(record)

    assert load_one(store, session_id) == replace(record, session_id=session_id)


def test_anonymous_session_comes_back(store: Database) -> None:
    """A session without a user is loaded without one."""
    session_id = store.sessions.create(make_record(None))

    record = load_one(store, session_id)

    assert record is not None
    assert record.user_id is None


def test_large_state_comes_back(store: Database) -> None:
    """A state of 1 MiB is kept."""
    record = replace(make_record(), state=b"\x00\xff'\\" * (256 * 1024))

    session_id = store.sessions.create(record)

    loaded = load_one(store, session_id)
    assert loaded is not None
    assert loaded.state == record.state


def test_unknown_session_is_none(store: Database) -> None:
    """An id that nobody made has no session."""
    assert store.sessions.load([generate_session_id()]) == [None]


def test_nothing_asked_nothing_loaded(store: Database) -> None:
    """No ids give no records."""
    assert store.sessions.load([]) == []


@pytest.mark.parametrize("session_id", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
def test_any_text_is_a_possible_id(store: Database, session_id: str) -> None:
    """A hostile id has no session, and can be updated and removed like any other."""
    assert store.sessions.load([session_id]) == [None]
    assert store.sessions.update(replace(make_record(), session_id=session_id)) is None
    store.sessions.remove(session_id)


def test_many_sessions_are_loaded_in_order(store: Database) -> None:
    """Records come in the order of the ids, with None between and duplicates repeated."""
    first, second = (store.sessions.create(make_record()) for _ in range(2))
    asked = [second, generate_session_id(), first, second, ""]

    loaded = store.sessions.load(asked)

    assert [record and record.session_id for record in loaded] == [
        second,
        None,
        first,
        second,
        None,
    ]


def test_hundreds_of_sessions_are_loaded_at_once(store: Database) -> None:
    """There is no number of ids that is too many."""
    ids = [store.sessions.create(make_record()) for _ in range(20)]
    unknown = [generate_session_id() for _ in range(600)]

    loaded = store.sessions.load(unknown + ids)

    assert loaded[:600] == [None] * 600
    assert [record and record.session_id for record in loaded[600:]] == ids


def test_sessions_do_not_mix(store: Database, user: str) -> None:
    """Threads that write different sessions read their own back."""

    def write_and_read(index: int) -> list[bytes]:
        state = b"state %d" % index
        record = replace(make_record(user), state=state)
        session_id = store.sessions.create(record)
        seen = []
        for _ in range(10):
            loaded = load_one(store, session_id)
            assert loaded is not None
            seen.append(loaded.state)
        return sorted(set(seen))

    assert at_once(write_and_read) == [[b"state %d" % index] for index in range(8)]


def test_expired_session_is_none(store: Database, user: str) -> None:
    """A session whose time is over is not loaded, without anything having removed it."""
    session_id = store.sessions.create(make_record(user, lasting_seconds=0.2))

    poll_until(lambda: load_one(store, session_id) is None, 5.0)


def test_session_that_was_over_at_once_is_none(store: Database) -> None:
    """Nor is one that was already over when it was created."""
    session_id = store.sessions.create(replace(make_record(), expires=FAR_PAST))

    assert load_one(store, session_id) is None


def test_update_replaces_the_record(store: Database, user: str) -> None:
    """State, time and user of the updated record are loaded under the id it returns."""
    session_id = store.sessions.create(make_record())
    changed = replace(make_record(user, 1200.0), session_id=session_id, state=b"new")

    updated_id = store.sessions.update(changed)

    assert updated_id is not None
    assert load_one(store, updated_id) == replace(changed, session_id=updated_id)


def test_update_that_changes_nothing_is_an_update(store: Database) -> None:
    """The same record once more is no ended session."""
    record = make_record()
    session_id = store.sessions.create(record)

    assert store.sessions.update(replace(record, session_id=session_id)) is not None


def test_update_does_not_bring_a_session_back(store: Database) -> None:
    """After remove, update says None and the session stays away."""
    record = make_record()
    session_id = store.sessions.create(record)
    store.sessions.remove(session_id)

    assert store.sessions.update(replace(record, session_id=session_id)) is None
    assert load_one(store, session_id) is None


def test_update_does_not_revive_an_expired_session(store: Database) -> None:
    """A session that is over stays over, whatever its new record says."""
    store.sessions.create(make_record())  # a store may clean up after its first one
    session_id = store.sessions.create(replace(make_record(), expires=FAR_PAST))

    assert store.sessions.update(replace(make_record(), session_id=session_id)) is None
    assert load_one(store, session_id) is None


def test_update_that_replaces_the_present_record(store: Database, user: str) -> None:
    """With ``replaces`` it is written, whether the user changes with it or not."""
    first = make_record(user)
    session_id = store.sessions.create(first)
    second = replace(first, state=b"second", user_id=None, expires=first.expires + 60)
    third = replace(second, state=b"third", user_id=user)

    assert store.sessions.update(second, replaces=first) == session_id
    assert store.sessions.update(third, replaces=second) == session_id
    assert load_one(store, session_id) == third
    store.sessions.remove_user(user)
    assert load_one(store, session_id) is None


@pytest.mark.parametrize(
    "change",
    [
        {"state": b"another"},
        {"key": "another"},
        {"user_id": "another"},
        {"expires": 9e9},
        {"created": 5.0},
        {"generation": 9},
        {"token_id": "another"},
        {"session_id": "another"},
    ],
    ids=lambda change: "".join(change),
)
def test_update_that_replaces_another_record(
    store: Database, user: str, change: dict[str, Any]
) -> None:
    """Of a record that differs in any field nothing is replaced, and None is returned."""
    present = make_record(user)
    session_id = store.sessions.create(present)
    new = replace(present, state=b"new")

    assert store.sessions.update(new, replaces=replace(present, **change)) is None
    assert load_one(store, session_id) == present


def test_update_that_replaces_an_ended_session(store: Database) -> None:
    """One that was removed, or has expired, is not brought back by naming its last record."""
    store.sessions.create(make_record())  # a store may clean up after its first one
    removed, expired = make_record(), replace(make_record(), expires=FAR_PAST)
    for record in (removed, expired):
        store.sessions.create(record)
    store.sessions.remove(removed.session_id)

    for record in (removed, expired):
        new = replace(record, expires=removed.expires)
        assert store.sessions.update(new, replaces=record) is None
        assert load_one(store, record.session_id) is None


def test_equal_records_replace_each_other(store: Database) -> None:
    """Times as integers, and zero of either sign, are those that were stored."""
    whole = replace(make_record(), created=0, expires=4_000_000_000)
    session_id = store.sessions.create(whole)
    loaded = load_one(store, session_id)
    assert loaded == whole
    negative = replace(whole, created=-0.0, state=b"2")

    assert store.sessions.update(negative, replaces=loaded) == session_id
    assert store.sessions.update(replace(whole, state=b"3"), replaces=negative) == session_id
    last = load_one(store, session_id)
    assert last is not None
    assert last.state == b"3"


def test_of_eight_who_replace_one_record_one_wins(store: Database, user: str) -> None:
    """In each of ten rounds exactly one of eight threads writes, and its record stays."""
    present = make_record(user)
    session_id = store.sessions.create(present)
    for number in range(10):
        changed = [replace(present, state=b"%d by %d" % (number, index)) for index in range(8)]

        def write(index: int, old: SessionRecord, new: list[SessionRecord]) -> bool:
            return store.sessions.update(new[index], replaces=old) is not None

        won = at_once(partial(write, old=present, new=changed))

        assert won.count(True) == 1
        present = changed[won.index(True)]
        assert load_one(store, session_id) == present


def test_remove_ends_one_session(store: Database, user: str) -> None:
    """The removed one is gone, also when removed twice; another of the same user stays."""
    removed, kept = (store.sessions.create(make_record(user)) for _ in range(2))

    store.sessions.remove(removed)
    store.sessions.remove(removed)

    assert load_one(store, removed) is None
    assert load_one(store, kept) is not None


def test_remove_user_ends_all_of_one_user(store: Database, user: str) -> None:
    """All sessions of the user are gone; those of others and of nobody stay."""
    ended = [store.sessions.create(make_record(user)) for _ in range(3)]
    others = [store.sessions.create(make_record(other)) for other in (f"{user}2", None)]

    store.sessions.remove_user(user)

    assert store.sessions.load(ended) == [None, None, None]
    assert None not in store.sessions.load(others)


def test_remove_user_knows_a_session_that_changed_hands(store: Database, user: str) -> None:
    """An update that names a user makes the session that user's."""
    session_id = store.sessions.create(make_record(None))
    updated_id = store.sessions.update(replace(make_record(user), session_id=session_id))
    assert updated_id is not None

    store.sessions.remove_user(user)

    assert load_one(store, updated_id) is None


def test_remove_user_without_sessions_is_no_error(store: Database, user: str) -> None:
    """Nor is a user id that nobody can have."""
    store.sessions.remove_user(user)
    store.sessions.remove_user("\0\ud800" * 1000)


@given(session_id=st.text(st.characters(), max_size=300))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_text_breaks_load(store: Database, session_id: str) -> None:
    """Any text that was never created gives None."""
    assert store.sessions.load([session_id]) == [None]


def test_two_databases_see_each_other(opened: OpenedStore, user: str) -> None:
    """What one opening of a store writes, another reads at once."""
    with opened.again() as first, opened.again() as second:
        assert first.accounts.create(user, "hash", {"name": "A"}) is True
        session_id = first.sessions.create(make_record(user))
        assert second.accounts.create(user, "other", {}) is False
        assert second.accounts.load(user, ["name"]) == {"name": "A"}
        assert load_one(second, session_id) is not None
        assert [first.counters.hit(user, 60.0), second.counters.hit(user, 60.0)] == [1, 2]

        second.sessions.remove_user(user)

        assert load_one(first, session_id) is None


def test_close_twice(opened: OpenedStore, user: str) -> None:
    """Closing a used database and an unused one, twice each, is no error."""
    for is_used in (True, False):
        database = open_database(opened.settings)
        if is_used:
            assert database.accounts.credentials(user) is None
        database.close()
        database.close()


def test_only_sqlite_is_not_remote(opened: OpenedStore) -> None:
    """A call on a file needs no time limit of its own."""
    assert opened.database.is_remote == (opened.settings.database != "sqlite")
    assert opened.database.handle is not None
