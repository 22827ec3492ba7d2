"""What ``save`` does when others have saved the same session since it was loaded."""

from dataclasses import replace
from typing import Any

import pytest

from toto._core.stores import saving
from toto._core.stores.record import SessionRecord
from toto.session import TotoSession, TotoSessionCache
from toto_testkit.memory_world import World, refusal
from toto_testkit.one_row_database import OneRowDatabase


def two_calls(world: World, **variables: Any) -> tuple[TotoSession, TotoSession]:
    """Return a session with these variables as two calls see it that run at the same time."""
    session = world.connection.create_session()
    session.update(variables)
    session.save()
    first, second = (world.connection.retrieve_session(session.session_id) for _ in range(2))
    assert first is not None
    assert second is not None
    return first, second


def stored(world: World, session: TotoSession) -> dict[Any, Any]:
    found = world.connection.retrieve_session(session.session_id)
    assert found is not None
    return found.state


def test_a_save_that_nobody_crosses_is_one_update() -> None:
    """Every save, with changes and without; nothing is loaded for it."""
    world = World()
    session, _ = two_calls(world)
    world.memory.operations.clear()

    session["a"] = 1
    session.save()
    session["a"] = 2
    session.save()
    session.save()

    assert world.memory.operations == ["sessions.update"] * 3


def test_a_save_that_another_crosses_is_two_updates() -> None:
    """The first one fails, then the newer record is loaded and changed."""
    world = World()
    first, second = two_calls(world)
    first["a"] = 1
    first.save()
    world.memory.operations.clear()

    second["b"] = 2
    second.save()

    assert world.memory.operations == ["sessions.update", "sessions.load", "sessions.update"]
    assert second.state == stored(world, second) == {"a": 1, "b": 2}


@pytest.mark.parametrize("has_read", [False, True])
def test_a_save_without_changes_takes_over_those_of_others(has_read: bool) -> None:
    """It writes nothing, whether the variables were looked at or not."""
    world = World()
    first, second = two_calls(world, a=1)
    assert not has_read or second["a"] == 1
    first["a"] = 2
    first.save()
    world.memory.operations.clear()

    second.save()

    assert world.memory.operations == ["sessions.update", "sessions.load"]
    assert second["a"] == 2


def test_what_a_method_holds_stays_the_session_s() -> None:
    """A list that was not changed by others is the same object after a save, and is saved again."""
    world = World()
    first, second = two_calls(world, mine=[1], theirs=[1])
    mine, variables = second["mine"], second.state
    first["theirs"].append(2)
    first.save()

    mine.append(2)
    second.save()
    mine.append(3)
    variables["more"] = 1
    second.save()

    assert stored(world, second) == {"mine": [1, 2, 3], "theirs": [1, 2], "more": 1}


def test_other_fields_are_merged_like_variables() -> None:
    """One call sets a new key, another a new end, a third a variable: all three stay."""
    world = World()
    first, second = two_calls(world)
    third = world.connection.adopt(first.loaded_record())
    first.key = "another key"
    first.save()
    second.expires = world.clock.now + 500
    second.save()

    third["a"] = 1
    third.save()

    expected = replace(
        first.loaded_record(), expires=world.clock.now + 500, state=TotoSession.dumps({"a": 1})
    )
    assert world.connection.load_record(first.session_id) == expected
    assert (third.key, third.expires) == ("another key", world.clock.now + 500)


def test_a_renewal_neither_loses_nor_undoes_variables() -> None:
    """What another call saved before it, and what this one has not saved yet, are both kept."""
    world = World()
    first, second = two_calls(world, a=1)
    second["b"] = 1
    first["a"] = 2
    first.save()
    world.clock.now += 3600 * 12

    assert world.connection.renew(second) is True
    assert second.state == {"a": 2, "b": 1}
    second.save()

    assert stored(world, second) == {"a": 2, "b": 1}


def test_an_id_that_a_method_has_set_is_another_session() -> None:
    """One that does not exist has ended; nothing is saved under the former."""
    world = World()
    session, _ = two_calls(world, a=1)
    former = session.session_id
    session["a"], session.session_id = 2, "of nobody"

    assert refusal(session.save) == (1007, "The session has ended.")
    unchanged = world.connection.load_record(former)
    assert unchanged is not None
    assert TotoSession.loads(unchanged.state) == {"a": 1}


def test_others_that_are_always_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """After 200 tries it is the error of a store that is away, and nothing was written."""

    class Rivals(OneRowDatabase):
        """Another call saves between any two steps of this one."""

        def update_record(
            self, record: SessionRecord, *, replaces: SessionRecord | None = None
        ) -> str | None:
            assert self.record is not None
            self.record = replace(self.record, expires=self.record.expires + 1)
            return super().update_record(record, replaces=replaces)

    monkeypatch.setattr(saving, "_PAUSE_SECONDS", 0.0)
    record = TotoSession(None, {"session_id": "s", "expires": 1e9}).record()
    database = Rivals(record)
    session = TotoSession(database, record.as_data())
    session["a"] = 1

    assert refusal(session.save)[0] == 1107
    assert database.record == replace(record, expires=1e9 + saving.TRIES_MAX)


class ForgetfulCache(TotoSessionCache):
    """Gives back another ``created`` each time, so that no record is the one it was given."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.load_count = 0

    def store_session(self, session_data: dict[str, Any]) -> None:
        self.kept[session_data["session_id"]] = session_data

    def load_session(self, session_id: str) -> dict[str, Any] | None:
        self.load_count += 1
        return {**self.kept[session_id], "created": float(self.load_count)}

    def remove_session(self, session_id: str) -> None:
        del self.kept[session_id]


def test_a_cache_need_not_give_back_what_it_was_given() -> None:
    """A session is saved there all the same, with what was saved by another call before."""
    world = World()
    world.connection.set_session_cache(ForgetfulCache())
    first, second = two_calls(world, a=1)

    first["a"] = 2
    first.save()
    second["b"] = 2
    second.save()

    assert stored(world, second) == {"a": 2, "b": 2}
    assert world.connection.is_exchanging is False
    assert World().connection.is_exchanging is True
