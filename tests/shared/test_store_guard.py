"""The time limit for store calls of threads; a stuck call is a read of a silent socket."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from toto._core.stores.breaker import Breaker, StoreFailed
from toto._core.stores.guard import StoreGuard
from toto._core.stores.store import StoreUnavailable
from toto_testkit.waiting import poll_until

pytestmark = pytest.mark.usefixtures("no_leaks")

LIMIT_SECONDS = 0.2
NEVER = 3600.0


class SilentServer:
    """A server that takes requests and answers none before it is told to."""

    def __init__(self) -> None:
        self._pairs: list[tuple[socket.socket, socket.socket]] = []

    def ask(self) -> bytes:
        """Wait for an answer, as a driver without a time limit does."""
        pair = socket.socketpair()
        self._pairs.append(pair)
        return pair[0].recv(100)

    @property
    def asked(self) -> int:
        return len(self._pairs)

    def answer_all(self) -> None:
        for _, server in self._pairs:
            server.sendall(b"late")

    def close(self) -> None:
        for pair in self._pairs:
            for end in pair:
                end.close()


@pytest.fixture
def silent() -> Iterator[SilentServer]:
    server = SilentServer()
    yield server
    server.close()


MakeGuard = Callable[..., StoreGuard]


@pytest.fixture
def make_guard(silent: SilentServer) -> Iterator[MakeGuard]:
    made: list[StoreGuard] = []

    def make(
        *, is_remote: bool = True, retry_seconds: float = NEVER, threads: int = 8
    ) -> StoreGuard:
        breaker = Breaker(retry_seconds=retry_seconds)
        guard = StoreGuard(LIMIT_SECONDS, is_remote=is_remote, breaker=breaker, threads=threads)
        made.append(guard)
        return guard

    yield make
    silent.answer_all()
    for guard in made:
        guard.close()


def unavailable() -> None:
    raise StoreUnavailable


def doubtful() -> None:
    raise StoreFailed


def test_a_remote_call_returns_what_the_function_returns(make_guard: MakeGuard) -> None:
    """Arguments go in and the result comes out, from another thread."""
    guard = make_guard()

    assert guard.call(int, "ff", base=16) == 255
    assert guard.call(threading.get_ident) != threading.get_ident()


def test_a_local_call_is_made_directly(make_guard: MakeGuard) -> None:
    """A call of a local store stays in the caller's thread, and is never refused."""
    guard = make_guard(is_remote=False)
    with pytest.raises(StoreUnavailable):
        guard.call(unavailable)

    assert guard.call(threading.get_ident) == threading.get_ident()


def test_a_stuck_call_is_given_up(make_guard: MakeGuard, silent: SilentServer) -> None:
    """The caller of a store that is silent waits for the limit, and no longer."""
    guard = make_guard()
    started = time.monotonic()

    with pytest.raises(StoreUnavailable):
        guard.call(silent.ask)

    assert LIMIT_SECONDS <= time.monotonic() - started < LIMIT_SECONDS + 2.5


def test_after_a_stuck_call_the_store_is_left_alone(
    make_guard: MakeGuard, silent: SilentServer
) -> None:
    """While the breaker is open, calls fail at once and do not reach the store."""
    guard = make_guard()
    with pytest.raises(StoreUnavailable):
        guard.call(silent.ask)
    started = time.monotonic()

    for _ in range(100):  # 20 s, if each of them waited
        with pytest.raises(StoreUnavailable):
            guard.call(silent.ask)

    assert time.monotonic() - started < 5 * LIMIT_SECONDS
    assert silent.asked == 1


def test_a_store_that_says_it_is_away_is_left_alone(make_guard: MakeGuard) -> None:
    """One StoreUnavailable of the store itself opens the breaker."""
    guard = make_guard()
    with pytest.raises(StoreUnavailable):
        guard.call(unavailable)

    with pytest.raises(StoreUnavailable):
        guard.call(int, "1")


def test_one_call_that_fails_does_not_stop_the_others(make_guard: MakeGuard) -> None:
    """A stranger's odd id may fail four times in a row; the fifth time the store counts as away."""
    guard = make_guard()
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(StoreFailed):
                guard.call(doubtful)
        assert guard.call(int, "1") == 1
    for _ in range(5):
        with pytest.raises(StoreFailed):
            guard.call(doubtful)

    with pytest.raises(StoreUnavailable):
        guard.call(int, "1")


def test_other_errors_pass_and_show_that_the_store_is_there(make_guard: MakeGuard) -> None:
    """An error that is not about being away reaches the caller, and the next call is made."""
    guard = make_guard()
    with pytest.raises(ValueError, match="invalid literal"):
        guard.call(int, "x")

    assert guard.call(int, "1") == 1


def test_a_probe_finds_the_store_that_is_back(make_guard: MakeGuard) -> None:
    """Once a probe is due and succeeds, all calls are made again."""
    guard = make_guard(retry_seconds=0.01)
    with pytest.raises(StoreUnavailable):
        guard.call(unavailable)

    def is_back() -> bool:
        try:
            return guard.call(int, "1") == 1
        except StoreUnavailable:
            return False

    poll_until(is_back, 1.0)
    assert [guard.call(int, text) for text in "234"] == [2, 3, 4]


def test_with_all_threads_stuck_calls_fail_at_once(
    make_guard: MakeGuard, silent: SilentServer
) -> None:
    """Nobody waits for a thread that may never come, even when the breaker would allow it."""
    guard = make_guard(retry_seconds=0.0, threads=2)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            guard.call(silent.ask)
    started = time.monotonic()

    for _ in range(20):  # 4 s, if each of them waited
        with pytest.raises(StoreUnavailable):
            guard.call(int, "1")

    assert time.monotonic() - started < 5 * LIMIT_SECONDS


def test_threads_that_come_free_are_used_again(make_guard: MakeGuard, silent: SilentServer) -> None:
    """When the stuck calls end at last, calls are made again."""
    guard = make_guard(retry_seconds=0.0, threads=1)
    with pytest.raises(StoreUnavailable):
        guard.call(silent.ask)
    silent.answer_all()

    def is_back() -> bool:
        try:
            return guard.call(int, "7") == 7
        except StoreUnavailable:
            return False

    assert poll_until(is_back, 2.0)


def test_twenty_callers_share_eight_threads(make_guard: MakeGuard) -> None:
    """Twenty callers at once all get their own answers, by eight threads at most."""
    guard = make_guard(threads=8)
    used: set[int] = set()

    def double(number: int) -> int:
        used.add(threading.get_ident())
        return 2 * number

    def call(number: int) -> list[int]:
        return [guard.call(double, 100 * number + turn) for turn in range(50)]

    with ThreadPoolExecutor(20) as callers:
        answers = list(callers.map(call, range(20)))

    assert answers == [[200 * number + 2 * turn for turn in range(50)] for number in range(20)]
    assert len(used) <= 8


def test_twenty_callers_of_a_silent_store_wait_no_longer_than_one(
    make_guard: MakeGuard, silent: SilentServer
) -> None:
    """Those who find no thread free are refused with the rest, and their calls are never made."""
    guard = make_guard(threads=8)

    def is_refused(_: int) -> bool:
        try:
            guard.call(silent.ask)
        except StoreUnavailable:
            return True
        return False

    started = time.monotonic()
    with ThreadPoolExecutor(20) as callers:
        refused = list(callers.map(is_refused, range(20)))

    assert time.monotonic() - started < 2 * LIMIT_SECONDS + 2.5
    assert refused == [True] * 20
    assert silent.asked <= 8


def test_a_call_that_was_given_up_before_it_began_is_never_made(
    make_guard: MakeGuard, silent: SilentServer
) -> None:
    """When the only thread comes free, it passes over what nobody waits for any more."""
    guard = make_guard(retry_seconds=0.0, threads=1)
    with ThreadPoolExecutor(2) as callers:
        calls = [callers.submit(guard.call, silent.ask) for _ in range(2)]
        errors = [call.exception() for call in calls]
    assert [type(error) for error in errors] == [StoreUnavailable, StoreUnavailable]
    silent.answer_all()

    def is_back() -> bool:
        try:
            return guard.call(int, "7") == 7
        except StoreUnavailable:
            return False

    assert poll_until(is_back, 2.0)
    assert silent.asked == 1


def test_a_call_sees_the_context_of_its_caller(make_guard: MakeGuard) -> None:
    """Context variables reach the thread: log lines of the store name the request."""
    variable: ContextVar[str] = ContextVar("variable", default="")
    guard = make_guard()
    variable.set("request 7")

    assert guard.call(variable.get) == "request 7"


def test_closing_ends_the_threads_and_refuses_calls(make_guard: MakeGuard) -> None:
    """After closing, which may happen twice, no call is made."""
    guard = make_guard()
    guard.call(int, "1")

    guard.close()
    guard.close()

    with pytest.raises(StoreUnavailable):
        guard.call(int, "1")


STUCK_PROGRAM = """
import socket
from toto._core.stores.breaker import Breaker
from toto._core.stores.guard import StoreGuard
from toto._core.stores.store import StoreUnavailable

ends = socket.socketpair()
guard = StoreGuard(0.1, is_remote=True, breaker=Breaker())
try:
    guard.call(ends[0].recv, 100)
except StoreUnavailable:
    print("refused")
"""


def test_a_process_with_a_stuck_call_can_exit() -> None:
    """The end of the program is the end of the process, though a call is still stuck."""
    done = subprocess.run(
        [sys.executable, "-c", STUCK_PROGRAM],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "refused\n", "")
