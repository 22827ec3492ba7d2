"""Credit for streams, awaited by threads and by coroutines."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from toto_testkit.waiting import poll_until
from toto_worker.window import CallCancelled, CreditWindow

pytestmark = pytest.mark.usefixtures("no_leaks")


def test_credit_is_taken_as_far_as_it_goes() -> None:
    """A piece is as long as the credit allows, and no longer; an empty one costs too."""

    async def scenario() -> None:
        window = CreditWindow(1000, asyncio.get_running_loop())

        assert window.take(600) == 600
        assert window.take(600) == 144  # each piece costs 256 bytes beyond its length
        window.add(300)
        assert await window.take_async(60) == 44

    asyncio.run(scenario())


def test_a_thread_waits_for_credit() -> None:
    """It sleeps until some comes, and gets that."""
    loop = asyncio.new_event_loop()
    window = CreditWindow(0, loop)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(window.take, 50)
        poll_until(lambda: threading.active_count() > 1)
        assert not waiting.done()

        window.add(30)

        assert waiting.result(5) == 30
    loop.close()


def test_a_coroutine_waits_for_credit_given_by_another_thread() -> None:
    """The loop is woken across threads, and serves others meanwhile."""

    async def scenario() -> None:
        window = CreditWindow(0, asyncio.get_running_loop())
        waiting = asyncio.create_task(window.take_async(50))
        await asyncio.sleep(0)

        thread = threading.Thread(target=window.add, args=(20,))
        thread.start()

        assert await asyncio.wait_for(waiting, 5) == 20
        thread.join()

    asyncio.run(scenario())


def test_cancelling_ends_every_wait() -> None:
    """Both kinds of waiters raise, and so does everyone who comes later."""

    async def scenario() -> None:
        window = CreditWindow(0, asyncio.get_running_loop())
        waiting = asyncio.create_task(window.take_async(50))
        in_thread = asyncio.get_running_loop().run_in_executor(None, _take, window)
        await asyncio.sleep(0)

        window.close()

        assert await asyncio.wait_for(in_thread, 5) == "cancelled"
        with pytest.raises(CallCancelled):
            await waiting
        with pytest.raises(CallCancelled):
            window.take(1)

    asyncio.run(scenario())


def _take(window: CreditWindow) -> str:
    try:
        window.take(50)
    except CallCancelled:
        return "cancelled"
    return "credit"
