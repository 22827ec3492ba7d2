"""Queues of tasks in threads."""

import asyncio
import logging
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import tornado.gen
import tornado.ioloop

from toto._core.logs import REQUEST_ID
from toto.tasks import TaskQueue
from toto_testkit.counter import Counter
from toto_testkit.processes import run_to_end
from toto_testkit.waiting import poll_until

IDLE_SECONDS = 0.05


@pytest.fixture
def queue() -> TaskQueue:
    """A queue of one thread, which ends soon."""
    return TaskQueue(idle_timeout=IDLE_SECONDS)


@pytest.fixture
def held(queue: TaskQueue) -> Iterator[threading.Event]:
    """The queue's thread is busy until the event is set."""
    begun, release = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        release.wait(10)

    queue.add_task(hold)
    assert begun.wait(10)
    yield release
    release.set()


def drained(queue: TaskQueue) -> None:
    """Wait until a queue has neither threads nor tasks."""
    poll_until(lambda: len(queue) == 0, message="the queue's threads end")


def test_tasks_of_one_thread_run_in_order(queue: TaskQueue) -> None:
    """The next one begins when the one before has ended."""
    ran: list[int] = []

    for number in range(50):
        queue.add_task(ran.append, number)
    drained(queue)

    assert ran == list(range(50))


def test_no_more_tasks_at_once_than_threads() -> None:
    """Three threads run twelve tasks, three at a time and never four."""
    queue = TaskQueue(3, IDLE_SECONDS)
    together = threading.Barrier(3)
    running: list[int] = []
    most: list[int] = []

    def work() -> None:
        running.append(1)
        most.append(len(running))
        together.wait(10)
        together.wait(10)
        running.pop()

    for _ in range(12):
        queue.add_task(work)
    drained(queue)

    assert len(most) == 12
    assert max(most) == 3


def test_add_task_logs_what_goes_wrong(queue: TaskQueue, caplog: pytest.LogCaptureFixture) -> None:
    """The log has the traceback, and the next task runs."""
    ran = threading.Event()

    with caplog.at_level(logging.ERROR, "toto.tasks"):
        queue.add_task(Counter().fail)
        queue.add_task(ran.set)
        assert ran.wait(10)

    (record,) = caplog.records
    assert record.getMessage().startswith("a task of TaskQueue failed: <bound method Counter.fail")
    assert record.exc_info
    assert str(record.exc_info[1]) == "the counter is broken"


def test_a_task_that_leaves_by_system_exit_ends_no_thread(
    queue: TaskQueue, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged as any exception."""
    ran = threading.Event()

    queue.add_task(sys.exit, 3)
    queue.add_task(ran.set)

    assert ran.wait(10)
    assert len(caplog.records) == 1


def test_length_counts_threads_and_waiting_tasks(queue: TaskQueue, held: threading.Event) -> None:
    """One thread is busy, two tasks wait; when all is done the thread ends."""
    queue.add_task(len, "")
    queue.add_task(len, "")

    assert len(queue) == 3

    held.set()
    drained(queue)
    assert queue


def test_a_queue_comes_back_after_its_threads_have_ended(queue: TaskQueue) -> None:
    """Idle threads end after the timeout, and new tasks start new ones."""
    threads: list[threading.Thread] = []

    for _ in range(2):
        queue.add_task(lambda: threads.append(threading.current_thread()))
        drained(queue)

    first, second = threads
    assert first is not second
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_an_idle_thread_is_used_again() -> None:
    """One task after the other needs one thread, however many there may be."""
    queue = TaskQueue(8, idle_timeout=10)
    idents = set()

    async def one_by_one() -> None:
        for _ in range(20):
            idents.add(await queue.yield_task(threading.get_ident))
            await asyncio.sleep(0.001)

    asyncio.run(one_by_one())

    assert len(idents) <= 2
    assert len(queue) <= 2


def test_instances_are_shared_by_name() -> None:
    """Whoever comes first says how many threads it has."""
    first = TaskQueue.instance("test_tasks.shared", thread_count=2, idle_timeout=IDLE_SECONDS)
    again = TaskQueue.instance("test_tasks.shared", thread_count=5)

    assert again is first
    assert (first.thread_count, first.idle_timeout, first.name) == (2, 0.05, "test_tasks.shared")
    assert TaskQueue.instance("test_tasks.other") is not first


def test_threads_that_ask_at_once_get_the_same_instance() -> None:
    """A name never has two queues."""
    with ThreadPoolExecutor(8) as pool:
        names = ["test_tasks.raced"] * 64
        queues = set(pool.map(lambda name: id(TaskQueue.instance(name)), names))

    assert len(queues) == 1


def test_a_queue_has_a_thread() -> None:
    """None would never run anything."""
    with pytest.raises(ValueError, match="one thread at least, not 0"):
        TaskQueue(0)


def test_run_is_accepted(queue: TaskQueue) -> None:
    """Toto's programs call it."""
    queue.run()

    assert len(queue) == 0


def test_yield_task_is_awaited_in_asyncio(queue: TaskQueue) -> None:
    """The result, or the exception, arrives on the loop that asked."""

    async def ask() -> tuple[int, int]:
        loop_thread = threading.get_ident()
        with pytest.raises(ValueError, match="the counter is broken"):
            await queue.yield_task(Counter().fail)
        assert await queue.yield_task(threading.get_ident) != loop_thread
        counter = Counter()
        return await queue.yield_task(counter.add, 2, times=3), counter.count

    assert asyncio.run(ask()) == (6, 6)


def test_yield_task_is_yielded_in_tornado(queue: TaskQueue) -> None:
    """Toto's coroutines yield it, one or a list."""

    @tornado.gen.coroutine
    def ask() -> Any:
        one = yield queue.yield_task(max, 1, 2)
        several = yield [queue.yield_task(max, 3, 4), queue.yield_task(max, 5, 6)]
        return one, several

    async def run() -> Any:
        return await ask()

    assert asyncio.run(run()) == (2, [4, 6])


def test_yield_task_without_a_loop(queue: TaskQueue) -> None:
    """A thread asks for the result; a loop that starts later can await it, too."""
    future: Any = queue.yield_task(max, 1, 2)
    later: Any = queue.yield_task(max, 3, 4)

    async def wait() -> Any:
        return await later

    assert future.result(10) == 2
    assert asyncio.run(wait()) == 4


def test_a_cancelled_task_that_waits_is_not_begun(queue: TaskQueue, held: threading.Event) -> None:
    """Whoever waited has gone; the tasks behind it run."""
    ran: list[str] = []

    async def ask() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.yield_task(ran.append, "cancelled"), 0.01)
        behind = queue.yield_task(ran.append, "behind")
        held.set()
        await behind

    asyncio.run(ask())

    assert ran == ["behind"]


def test_a_cancelled_task_that_runs_does_not_break_the_queue(queue: TaskQueue) -> None:
    """It runs on, its result is dropped, and the next one has its turn."""
    begun, release = threading.Event(), threading.Event()
    ended: list[str] = []

    def work() -> None:
        begun.set()
        release.wait(10)
        ended.append("work")

    async def ask() -> str:
        waiting = asyncio.ensure_future(queue.yield_task(work))
        await asyncio.to_thread(begun.wait, 10)
        waiting.cancel()
        release.set()
        name: str = await queue.yield_task(lambda: "next")
        return name

    assert asyncio.run(ask()) == "next"
    assert ended == ["work"]


def test_a_task_that_outlives_its_loop_does_not_break_the_queue(
    queue: TaskQueue, held: threading.Event
) -> None:
    """The loop that asked is closed when the task ends."""

    async def ask() -> None:
        queue.yield_task(len, "")

    asyncio.run(ask())
    future: Any = queue.yield_task(len, "four")
    held.set()

    assert future.result(10) == 4


def test_stop_iteration_reaches_whoever_waits(queue: TaskQueue) -> None:
    """A loop's future cannot carry it: it arrives as the cause of another error."""

    async def ask() -> None:
        with pytest.raises(RuntimeError, match="the task raised StopIteration") as raised:
            await asyncio.wait_for(queue.yield_task(next, iter(())), 10)
        assert isinstance(raised.value.__cause__, StopIteration)

    asyncio.run(ask())


def test_the_request_travels_into_the_task(queue: TaskQueue) -> None:
    """Log lines of a task name the request; the next task does not inherit it."""

    async def ask() -> tuple[str, str]:
        token = REQUEST_ID.set("request-1")
        first = queue.yield_task(REQUEST_ID.get)
        REQUEST_ID.reset(token)
        return await first, await queue.yield_task(REQUEST_ID.get)

    assert asyncio.run(ask()) == ("request-1", "")


def test_a_process_does_not_wait_for_idle_threads(tmp_path: Path) -> None:
    """The program ends at once, although its thread would be idle for a minute."""
    code = (
        "from toto.tasks import TaskQueue\n"
        "queue = TaskQueue.instance('exit')\n"
        "print(queue.yield_task(max, 1, 2).result())\n"
    )

    ended = run_to_end([sys.executable, "-c", code], directory=tmp_path, deadline_seconds=10)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "2\n", "")
