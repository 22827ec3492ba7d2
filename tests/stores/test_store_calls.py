"""Whose guard a store call goes through."""

import gc

from toto._core.stores.no_database import NoSessions
from toto._core.stores.open import StoreCalls
from toto_testkit.leaks import leaving_nothing


def test_objects_that_come_later_have_no_guard_of_another() -> None:
    """A store that nobody else keeps is kept: its id would become that of a user's own object."""
    with leaving_nothing():
        calls = StoreCalls(1.0)
        store = NoSessions()
        store_id = id(store)
        calls.add((store,), is_remote=False)
        del store
        gc.collect()

        later = [NoSessions() for _ in range(1000)]

        assert store_id not in [id(each) for each in later]
        assert all(calls.call(each.load, ["a"]) == [None] for each in later[:3])
        calls.close()
