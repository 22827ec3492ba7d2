"""What every store promises of counters."""

import pytest

from toto._core.stores.store import Database
from toto_testkit.stores import HOSTILE_TEXTS, at_once
from toto_testkit.waiting import poll_until


def test_hits_are_counted(store: Database, user: str) -> None:
    """Each hit returns the sum so far; another key has its own."""
    assert [store.counters.hit(user, 60.0) for _ in range(3)] == [1, 2, 3]
    assert store.counters.hit(f"{user}2", 60.0) == 1


def test_hits_at_once_add_up(store: Database, user: str) -> None:
    """Eight threads of ten hits see each sum from 1 to 80 once."""
    sums = at_once(lambda index: [store.counters.hit(user, 60.0) for _ in range(10)])

    assert sorted(count for counts in sums for count in counts) == list(range(1, 81))
    assert store.counters.counts([user]) == [80]


def test_counts(store: Database, user: str) -> None:
    """Sums come in the order of the keys, 0 for an unknown one; reading counts nothing."""
    store.counters.hit(user, 60.0)
    store.counters.hit(user, 60.0)

    for _ in range(2):
        assert store.counters.counts([f"{user}-unknown", user, user]) == [0, 2, 2]
    assert store.counters.counts([]) == []


def test_counter_ends_with_its_time(store: Database, user: str) -> None:
    """When the time of the first hit is over the sum is 0, and the next hit is the first."""
    store.counters.hit(user, 0.2)

    poll_until(lambda: store.counters.counts([user]) == [0], 5.0)
    assert store.counters.hit(user, 60.0) == 1
    assert store.counters.hit(user, 60.0) == 2


def test_later_hits_do_not_prolong(store: Database, user: str) -> None:
    """The first hit sets the time; a long one after it changes nothing."""
    store.counters.hit(user, 0.3)
    store.counters.hit(user, 3600.0)

    poll_until(lambda: store.counters.counts([user]) == [0], 5.0)


def test_clear_forgets_a_key(store: Database, user: str) -> None:
    """The key begins anew, others stay, and an unknown key is no error."""
    store.counters.hit(user, 60.0)
    store.counters.hit(f"{user}2", 60.0)

    store.counters.clear(user)
    store.counters.clear(f"{user}-unknown")

    assert store.counters.counts([user, f"{user}2"]) == [0, 1]
    assert store.counters.hit(user, 60.0) == 1


@pytest.mark.parametrize("key", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
def test_any_text_is_a_counter(store: Database, key: str) -> None:
    """Hostile keys are counted and forgotten like others."""
    assert store.counters.hit(key, 60.0) == 1
    assert store.counters.counts([key]) == [1]
    store.counters.clear(key)
    assert store.counters.counts([key]) == [0]
