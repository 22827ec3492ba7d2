"""Pools of instances, and instances whose methods are awaited."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from toto.tasks import AwaitableInstance, InstancePool
from toto_testkit.counter import Counter
from toto_testkit.waiting import poll_until


def test_a_pool_lends_each_instance_to_one_at_a_time() -> None:
    """Eight threads share two instances; none is used twice at once, and none is lost."""
    counters = [Counter(), Counter()]
    pool = InstancePool(counters)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: pool.add(1), range(100)))

    assert sum(each.count for each in counters) == 100


@pytest.mark.parametrize("several", [list, tuple, set, frozenset])
def test_a_pool_takes_one_instance_or_a_collection(several: Any) -> None:
    """A single object needs no list around it."""
    counters = Counter(), Counter()
    of_one, of_two = InstancePool(counters[0]), InstancePool(several(counters))

    with of_one.instance() as lent:
        assert lent is counters[0]
    with of_two.instance() as first, of_two.instance() as second:
        assert {first, second} == set(counters)


def test_a_pool_of_nothing_is_refused() -> None:
    """Whoever borrowed from it would wait for ever."""
    with pytest.raises(ValueError, match="one instance at least"):
        InstancePool([])


def test_a_pool_gets_its_instance_back_after_an_error() -> None:
    """The method fails, the transaction fails, and the only instance is there again."""
    pool = InstancePool(Counter())

    with pytest.raises(ValueError, match="broken"):
        pool.fail()
    with pytest.raises(ZeroDivisionError):
        pool.transaction(lambda counter: 1 // counter.count)

    assert pool.add(5) == 5


def test_transactions() -> None:
    """At once, in a queue for nobody, and in a queue to be awaited."""
    counter = Counter()
    pool = InstancePool(counter, "test_tasks.transactions")

    async def ask() -> Any:
        return await pool.await_transaction(lambda each: each.add(100))

    assert pool.transaction(lambda each: each.add(1)) == 1
    pool.async_transaction(lambda each: each.add(10))
    assert asyncio.run(ask()) == 111
    pool.async_transaction(lambda each: each.add(1000), "test_tasks.other_transactions")
    poll_until(lambda: counter.count == 1111)


def test_an_awaitable_pool() -> None:
    """Every method can be awaited, in the pool's queue or another."""
    pool = InstancePool([Counter()], "test_tasks.pool")

    def name_of_thread(_: Counter) -> str:
        return threading.current_thread().name

    async def ask() -> list[Any]:
        waiting = pool.awaitable()
        return [
            await waiting.add(1),
            await pool.await_("test_tasks.pool_2").add(1, times=2),
            await waiting.transaction(name_of_thread),
            await pool.awaitable("test_tasks.pool_2").transaction(name_of_thread),
        ]

    assert asyncio.run(ask()) == [1, 3, "test_tasks.pool", "test_tasks.pool_2"]


def test_an_awaitable_instance() -> None:
    """A blocking object's methods are awaited, in turn although asked at once."""
    counter = Counter()
    waiting = AwaitableInstance(counter, "test_tasks.instance")

    async def ask() -> Any:
        with pytest.raises(ValueError, match="broken"):
            await waiting.fail()
        return await asyncio.gather(*(waiting.add(1) for _ in range(5)))

    assert asyncio.run(ask()) == [1, 2, 3, 4, 5]
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = waiting.nothing_such


def test_python_does_not_ask_the_instances_for_its_own_methods() -> None:
    """``copy`` and the like find out that the pool has no such method."""
    for each in (InstancePool(Counter()), AwaitableInstance(Counter())):
        assert not hasattr(each, "__deepcopy__")
