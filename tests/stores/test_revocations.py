"""Which client tokens have ended: two stores of which either may be away, and answers that race."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from toto._core.stores.memory_counters import MemoryCounters
from toto._core.stores.record import SessionRecord
from toto._core.stores.revocations import Revocations
from toto._core.stores.store import Credentials, StoreUnavailable
from toto_testkit.memory_stores import SettableClock


class TwoStores:
    """Accounts and counters of which each may be away, and what happens while they answer."""

    def __init__(self) -> None:
        self.clock = SettableClock()
        self.away: set[str] = set()
        self.generation = 0
        self.ended: set[str] = set()
        self.asked: list[str] = []
        self.meanwhile: Callable[[], object] | None = None
        accounts: Any = self
        self.revocations = Revocations(accounts, accounts, clock=self.clock)
        self.record = SessionRecord("", "ann", 0, 9e9, token_id="a")  # noqa: S106  # a name

    def credentials(self, user_id: str) -> Credentials:
        self._begin("accounts")
        answer = Credentials("", self.generation)
        self._happen()
        return answer

    def counts(self, keys: Sequence[str]) -> list[int]:
        self._begin("counters")
        answer = [int(key in self.ended) for key in keys]
        self._happen()
        return answer

    def hit(self, key: str, ttl_seconds: float) -> int:
        self._begin("counters")
        self.ended.add(key)
        return 1

    def _begin(self, name: str) -> None:
        self.asked.append(name)
        if name in self.away:
            raise StoreUnavailable

    def _happen(self) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()


@pytest.mark.parametrize("away", ["accounts", "counters"])
def test_row_13_one_of_two_stores_away(away: str) -> None:
    """The 60 s count from the last answer of the store that is away, however often the other one
    answers, and however often both are asked."""
    stores = TwoStores()
    stores.revocations.touch()
    stores.away = {away}
    for _ in range(6):
        stores.clock.now += 10
        stores.revocations.touch()
        assert stores.revocations.check(stores.record) is False
    stores.clock.now += 0.001

    with pytest.raises(StoreUnavailable):
        stores.revocations.check(stores.record)


def test_row_13_anonymous_tokens_need_no_accounts() -> None:
    """While accounts are away, tokens without a user are checked as ever."""
    stores = TwoStores()
    stores.away = {"accounts"}
    assert stores.revocations.check(replace(stores.record, user_id=None)) is False
    assert stores.asked == ["counters"]


def test_row_13_touching_asks_both_stores() -> None:
    """A touch is an answer of each store, and one that is away keeps no other from being asked."""
    stores = TwoStores()
    stores.away = {"counters"}
    stores.revocations.touch()
    stores.away = set()
    stores.revocations.touch()
    assert stores.asked == ["counters", "accounts"] * 2
    stores.away = {"accounts", "counters"}
    stores.clock.now += 60
    assert stores.revocations.check(stores.record) is False


@pytest.mark.parametrize("away", ["accounts", "counters"])
def test_row_13_one_store_is_enough_to_refuse(away: str) -> None:
    """What the store that is there says of an ended token counts while the other one is away."""
    stores = TwoStores()
    stores.revocations.touch()
    stores.away = {away}
    stores.ended, stores.generation = {"ended-token:a"}, 1
    assert stores.revocations.check(stores.record) is True


def test_row_13_logout_during_a_check() -> None:
    """An answer from before a logout does not bring the token back, nor does a later one."""
    stores = TwoStores()
    stores.meanwhile = lambda: stores.revocations.end(stores.record, 1000)
    assert stores.revocations.check(stores.record) is True
    assert stores.revocations.known(stores.record) is True
    stores.ended.clear()  # a deny list that was lost
    stores.clock.now += 1000
    assert stores.revocations.check(stores.record) is True
    assert stores.revocations.known(stores.record) is True


def test_row_13_new_password_during_a_check() -> None:
    """An answer from before a change of the password is not remembered."""
    stores = TwoStores()

    def change() -> None:
        stores.generation = 1
        stores.revocations.forget_user("ann")

    stores.meanwhile = change
    assert stores.revocations.check(stores.record) is False
    assert stores.revocations.known(stores.record) is None
    assert stores.revocations.check(stores.record) is True


def test_row_13_new_password_does_not_revive() -> None:
    """Forgetting a user's good tokens leaves those that were ended, even with the store away."""
    stores = TwoStores()
    stores.revocations.end(stores.record, 1000)
    stores.revocations.forget_user("ann")
    stores.away = {"accounts", "counters"}
    assert stores.revocations.known(stores.record) is True
    assert stores.revocations.check(stores.record) is True


def test_row_13_slow_answer_is_older() -> None:
    """A question that was asked earlier does not make a verdict older when it is answered last."""
    stores = TwoStores()

    def ask_again() -> None:
        stores.clock.now += 4
        assert stores.revocations.check(stores.record) is False

    stores.meanwhile = ask_again
    assert stores.revocations.check(stores.record) is False
    stores.clock.now += 5  # 9 s after the first question, 5 s after the second
    assert stores.revocations.known(stores.record) is False
    stores.away = {"accounts", "counters"}
    stores.clock.now += 55
    assert stores.revocations.check(stores.record) is False


def test_row_13_memory_is_bounded() -> None:
    """Of more tokens than are remembered, those used longest ago are asked for again."""
    clock = SettableClock()
    revocations = Revocations(None, MemoryCounters(clock), clock=clock, verdicts_max=2)
    records = [SessionRecord("", None, 0, 9e9, token_id=str(number)) for number in range(3)]
    for number in (0, 1, 0, 2):
        assert revocations.check(records[number]) is False
    assert [revocations.known(record) for record in records] == [False, None, False]


def test_row_13_revocations_under_threads() -> None:
    """Verdicts of many threads do not get mixed up."""
    clock = SettableClock()
    counters = MemoryCounters(clock)
    revocations = Revocations(None, counters, clock=clock, verdicts_max=16)
    records = [SessionRecord("", None, 0, 9e9, token_id=str(number)) for number in range(32)]
    for record in records[::2]:
        revocations.end(record, 1000)
    wrong: list[str] = []

    def work() -> None:
        for _ in range(50):
            for number, record in enumerate(records):
                if revocations.check(record) is not (number % 2 == 0):
                    wrong.append(record.token_id)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
