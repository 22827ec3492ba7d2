"""The event manager of one process: handlers in threads and on a loop, and what goes out."""

import asyncio
import gc
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from toto._core.event_runner import EVENT_THREADS
from toto._core.logs import REQUEST_ID
from toto.events import EventManager
from toto_testkit.events import Attached, attached
from toto_testkit.waiting import poll_until

pytestmark = pytest.mark.usefixtures("no_leaks")


@dataclass
class Request:
    """The handler of a call, as far as the manager looks at it."""

    finished: bool = False
    cancelled: bool = False


@pytest.fixture
def serving() -> Iterator[Attached]:
    with attached(EventManager()) as each:
        yield each


def test_there_is_one_manager() -> None:
    """Of this process."""
    assert EventManager.instance() is EventManager.instance()


def test_handlers_registered_early_are_announced() -> None:
    """A module of methods may register one when it is imported."""
    manager = EventManager()
    manager.register_handler("a", print)
    manager.register_handler("b", print)

    with attached(manager) as serving:
        assert serving.port.subscriptions == [("a", "b")]


def test_only_new_names_and_lost_ones_are_told(serving: Attached) -> None:
    """A handler that was called once is gone, and so is its name."""
    first = serving.manager.register_handler("a", print)
    second = serving.manager.register_handler("a", print)
    serving.manager.register_handler("b", lambda args: None)
    serving.manager.remove_handler(first)
    serving.manager.remove_handler(second)
    serving.port.deliver("b")

    assert serving.port.subscriptions == [(), ("a",), ("a", "b"), ("b",), ()]


def test_a_handler_runs_in_a_thread_unless_it_asks_for_the_loop(serving: Attached) -> None:
    """A coroutine function runs on the loop in any case."""
    ran: dict[str, threading.Thread] = {}

    def note(args: Any) -> None:
        ran[args] = threading.current_thread()

    async def note_later(args: Any) -> None:
        await asyncio.sleep(0)
        note(args)

    serving.manager.register_handler("thread", note)
    serving.manager.register_handler("loop", note, run_on_main_loop=True)
    serving.manager.register_handler("coroutine", note_later)
    serving.manager.register_handler("lambda", lambda args: note_later(args))
    for name in ("thread", "loop", "coroutine", "lambda"):
        assert serving.port.deliver(name, name)

    poll_until(lambda: len(ran) == 4)
    assert ran["thread"].name.startswith("toto-event-")
    assert ran["thread"].daemon
    assert {ran[name] for name in ("loop", "coroutine", "lambda")} == {serving.loop_thread}


def test_an_event_for_nobody_is_handed_back(serving: Attached) -> None:
    """Nobody waits, or only for a request that has ended."""
    serving.manager.register_handler("a", print, request_handler=Request(finished=True))

    assert serving.port.deliver("a") is False
    assert serving.port.deliver("b") is False


def test_a_handler_is_called_once_unless_it_persists(serving: Attached) -> None:
    """The arguments are what was sent, and all handlers get the same."""
    once: list[Any] = []
    always: list[Any] = []
    serving.manager.register_handler("a", once.append, run_on_main_loop=True)
    serving.manager.register_handler("a", always.append, run_on_main_loop=True, persist=True)

    for number in range(3):
        serving.port.deliver("a", {"n": number})
    serving.settle()

    assert once == [{"n": 0}]
    assert always == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert once[0] is always[0]


@pytest.mark.parametrize("on_loop", [True, False])
def test_events_reach_a_persistent_handler_in_order(serving: Attached, on_loop: bool) -> None:
    """Although several threads share the work, and other handlers hold some of them up."""
    noted: list[int] = []
    is_running = threading.Lock()

    def note(args: Any) -> None:
        assert is_running.acquire(blocking=False)
        time.sleep(0.0001 * (args % 3))
        noted.append(args)
        is_running.release()

    serving.manager.register_handler("a", note, run_on_main_loop=on_loop, persist=True)
    for _ in range(EVENT_THREADS - 1):
        serving.manager.register_handler("a", lambda args: time.sleep(0.05))

    for number in range(300):
        serving.port.deliver("a", number)

    poll_until(lambda: len(noted) == 300)
    assert noted == list(range(300))


@pytest.mark.parametrize("on_loop", [True, False])
@pytest.mark.parametrize("ending", ["finished", "cancelled", "removed"])
def test_a_handler_that_waits_for_its_turn_is_not_called_after_its_end(
    serving: Attached, on_loop: bool, ending: str
) -> None:
    """The event has come, but everybody is busy while the request ends."""
    begun, free = threading.Semaphore(0), threading.Event()
    called: list[Any] = []
    request = Request()

    def hold(args: Any) -> None:
        begun.release()
        free.wait(10)

    busy = 1 if on_loop else EVENT_THREADS
    for _ in range(busy):
        serving.manager.register_handler("hold", hold, run_on_main_loop=on_loop)
    signature = serving.manager.register_handler(
        "a", called.append, run_on_main_loop=on_loop, request_handler=request
    )
    serving.port.deliver("hold")
    for _ in range(busy):
        begun.acquire(timeout=10)
    serving.port.deliver("a")
    if ending == "removed":
        serving.manager.remove_handler(signature)
    else:
        setattr(request, ending, True)
    last = threading.Event()
    serving.manager.register_handler("last", lambda args: last.set(), run_on_main_loop=on_loop)
    serving.port.deliver("last")
    free.set()

    assert last.wait(10)
    assert called == []


@pytest.mark.parametrize("kind", ["thread", "loop", "coroutine"])
def test_what_a_handler_raises_is_logged(
    serving: Attached, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With its traceback; the others are called, and it is called again."""
    noted: list[Any] = []

    def fail(args: Any) -> None:
        raise SystemExit("never")

    async def fail_later(args: Any) -> None:
        fail(args)

    failing: Callable[[Any], Any] = fail_later if kind == "coroutine" else fail
    serving.manager.register_handler("a", failing, run_on_main_loop=kind == "loop", persist=True)
    serving.manager.register_handler("a", noted.append, persist=True)

    serving.port.deliver("a", 1)
    serving.port.deliver("a", 2)

    poll_until(lambda: noted == [1, 2] and len(caplog.records) == 2)
    assert {line.getMessage() for line in caplog.records} == {"a handler of the event 'a' failed"}
    assert "raise SystemExit" in caplog.text


def test_a_handler_runs_where_it_was_registered(serving: Attached) -> None:
    """Its log lines name the request that waits."""
    noted: list[str] = []
    token = REQUEST_ID.set("request-7")
    for on_loop in (True, False):
        serving.manager.register_handler(
            "a", lambda args: noted.append(REQUEST_ID.get()), run_on_main_loop=on_loop
        )
    REQUEST_ID.reset(token)

    serving.port.deliver("a")

    poll_until(lambda: noted == ["request-7"] * 2)


def test_handlers_that_cannot_keep_up_lose_events(
    serving: Attached, caplog: pytest.LogCaptureFixture
) -> None:
    """The memory is bounded; when they have caught up, events are taken again."""
    caplog.set_level(logging.WARNING)
    free = threading.Event()
    noted: list[int] = []

    def note(args: Any) -> None:
        free.wait(10)
        noted.append(args["n"])

    serving.manager.register_handler("a", note, persist=True)
    for number in range(200):  # 68 of these are 32 MiB
        assert serving.port.deliver("a", {"n": number, "filler": "x" * 500_000})
    free.set()
    poll_until(lambda: len(noted) == 68)
    poll_until(lambda: serving.port.deliver("a", {"n": 1000}) and 1000 in noted)

    assert noted[:69] == [*range(68), 1000]
    assert [line.getMessage() for line in caplog.records] == [
        "handlers are too slow for the events that come: dropping events",
        "events are taken again",
    ]


def test_a_handler_that_was_called_is_let_go(serving: Attached) -> None:
    """Nothing keeps what its function holds."""

    class Held:
        """Something large."""

    held = Held()
    gone = weakref.ref(held)
    called = threading.Event()

    def handle(args: Any, held: Held = held) -> None:
        called.set()

    serving.manager.register_handler("a", handle)
    del handle, held
    serving.port.deliver("a")
    assert called.wait(10)

    def is_gone() -> bool:
        gc.collect()
        return gone() is None

    poll_until(is_gone)


def test_anything_may_be_removed(serving: Attached) -> None:
    """Twice, or what was never registered."""
    signature = serving.manager.register_handler("a", print)

    others: tuple[Any, ...] = (None, "a", ("a", 1), [])
    for each in (signature, signature, *others):
        serving.manager.remove_handler(each)

    assert serving.port.deliver("a") is False


def test_a_handler_must_be_callable(serving: Attached) -> None:
    """What is not would fail only when the event comes."""
    with pytest.raises(TypeError, match="an event handler must be a function, not 5"):
        serving.manager.register_handler("a", 5)  # type: ignore[arg-type]


def test_threads_may_register_send_and_remove_at_once(serving: Attached) -> None:
    """What is told last is what holds, and every handler is called at most once."""
    called: list[str] = []

    def work(number: int) -> None:
        for turn in range(200):
            name = f"{number}-{turn % 7}"
            kept = serving.manager.register_handler(name, lambda args: called.append(args))
            gone = serving.manager.register_handler(name, print)
            serving.manager.remove_handler(gone)
            if turn % 2:
                serving.port.deliver(name, f"{number}-{turn}")
            else:
                serving.manager.remove_handler(kept)
        serving.manager.register_handler(f"last-{number}", print)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    poll_until(lambda: len(called) == 800)
    assert len(set(called)) == 800
    assert set(serving.port.subscriptions[-1]) == {f"last-{number}" for number in range(8)}
