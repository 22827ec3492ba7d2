"""Whose guard a store call goes through."""

import gc
import weakref

from toto._core.stores.no_database import NoSessions
from toto._core.stores.open import StoreCalls
from toto_testkit.leaks import leaving_nothing


def test_objects_that_come_later_have_no_guard_of_another() -> None:
    """A store that nobody else keeps is kept: its id would become that of a user's own object."""
    with leaving_nothing():
        calls = StoreCalls(1.0)
        store = NoSessions()
        calls.add((store,), is_remote=False)
        reference = weakref.ref(store)
        del store
        gc.collect()

        assert reference() is not None
        calls.close()
