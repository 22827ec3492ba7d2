"""Saving one session at the same moment from many places, in every store."""

from typing import Any

import pytest

from toto._core.stores.record import SessionRecord
from toto.dbconnection import DBConnection
from toto.exceptions import TotoException
from toto.session import TotoSession
from toto_testkit.memory_world import refusal
from toto_testkit.stores import THREADS, OpenedStore, at_once

ROUNDS = 10


@pytest.fixture
def connection(opened: OpenedStore) -> DBConnection:
    """A connection to each store."""
    return DBConnection(opened.database, opened.settings)


def copies_of(connection: DBConnection, session: TotoSession, count: int) -> list[TotoSession]:
    """Load a session so many times, as calls that run at the same time do."""
    record = connection.load_record(session.session_id)
    assert isinstance(record, SessionRecord)
    return [connection.adopt(record) for _ in range(count)]


def saved_variables(connection: DBConnection, session: TotoSession) -> dict[Any, Any] | None:
    found = connection.retrieve_session(session.session_id)
    return None if found is None else found.state


def test_variables_saved_at_once_are_all_kept(connection: DBConnection) -> None:
    """Eight threads count up a variable of their own, in calls that begin with one session."""
    session = connection.create_session()
    rounds = [copies_of(connection, session, THREADS) for _ in range(ROUNDS)]

    def count_up(index: int) -> None:
        for calls in rounds:
            calls[index].refresh()
            calls[index][f"count{index}"] = (calls[index][f"count{index}"] or 0) + 1
            calls[index].save()

    at_once(count_up)

    expected = {f"count{index}": ROUNDS for index in range(THREADS)}
    assert saved_variables(connection, session) == expected


def test_what_others_saved_is_there_after_a_save(connection: DBConnection) -> None:
    """New, changed and removed variables of the other call; of one that both set, the last."""
    session = connection.create_session()
    session.update(kept=1, changed=1, removed=1, both=1)
    session.save()
    first, second = copies_of(connection, session, 2)

    first.update(changed=2, both="first", new=[1])
    del first["removed"]
    first.save()
    second.update(both="second", own=2)
    second.save()

    expected = {"kept": 1, "changed": 2, "both": "second", "new": [1], "own": 2}
    assert second.state == saved_variables(connection, session) == expected


def test_a_later_save_goes_on_from_the_merged_state(connection: DBConnection) -> None:
    """What the first save took over from another call, the second one does not undo."""
    session = connection.create_session()
    first, second = copies_of(connection, session, 2)
    first["a"] = 1
    first.save()
    second["b"] = 1
    second.save()
    first["a"] = 2
    first.save()

    second["b"] = 2
    second.save()

    assert second.state == saved_variables(connection, session) == {"a": 2, "b": 2}


def test_no_save_brings_an_ended_session_back(connection: DBConnection) -> None:
    """While eight threads save, one ends the session: all the others are told so."""
    session = connection.create_session()
    calls = copies_of(connection, session, THREADS)
    codes: list[int] = []

    def save_until_it_ends(index: int) -> None:
        if index == 0:
            calls[0]["a"] = 1
            calls[0].save()
            connection.remove_session(session.session_id)
            return
        number = 0
        try:
            while True:
                calls[index][f"number{index}"] = number = number + 1
                calls[index].save()
        except TotoException as error:
            codes.append(error.code)

    at_once(save_until_it_ends)

    assert codes == [1007] * (THREADS - 1)
    assert saved_variables(connection, session) is None
    assert refusal(calls[0].save) == (1007, "The session has ended.")
