"""When a store that is away is tried again; the clock is the test's own."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from toto._core.stores.breaker import Breaker, StoreFailed
from toto._core.stores.store import StoreUnavailable


class Clock:
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock, retry_seconds=0.5)


def test_a_store_that_answers_is_always_asked(breaker: Breaker) -> None:
    """A closed breaker allows every call, at the same moment too."""
    breaker.succeeded()

    assert [breaker.allows() for _ in range(3)] == [True, True, True]


def test_the_first_failure_stops_all_calls(breaker: Breaker, clock: Clock) -> None:
    """After one failure no call goes out for half a second."""
    breaker.failed()

    assert not breaker.allows()
    clock.now = 100.49
    assert not breaker.allows()


def test_one_probe_at_a_time_goes_out(breaker: Breaker, clock: Clock) -> None:
    """After half a second one call is allowed, and no second one beside it."""
    breaker.failed()
    clock.now = 100.5

    assert [breaker.allows() for _ in range(3)] == [True, False, False]


def test_a_probe_that_succeeds_lets_all_calls_through(breaker: Breaker, clock: Clock) -> None:
    """The first answer closes the breaker."""
    breaker.failed()
    clock.now = 100.5
    assert breaker.allows()

    breaker.succeeded()

    assert [breaker.allows() for _ in range(3)] == [True, True, True]


def test_a_store_that_stays_away_is_tried_twice_a_second(breaker: Breaker, clock: Clock) -> None:
    """With calls all the time and probes that fail at once, ten seconds have at most 20 probes."""
    breaker.failed()
    probes = 0
    for tick in range(1000):
        clock.now = 100.0 + tick / 100
        if breaker.allows():
            probes += 1
            breaker.failed()

    assert 18 <= probes <= 20


def test_a_store_that_is_back_is_found_within_a_second(breaker: Breaker, clock: Clock) -> None:
    """It is found although the last probe was sent just before, and failed only 0.4 s later."""
    breaker.failed()
    clock.now = 100.5
    assert breaker.allows()
    clock.now = 100.9  # the store has been back since 100.51
    breaker.failed()
    clock.now = 101.0

    assert breaker.allows()


def test_calls_that_fail_late_put_off_no_probe(breaker: Breaker, clock: Clock) -> None:
    """Calls from before the opening may fail one by one; the probe goes out at its time."""
    breaker.failed()
    for late in (100.1, 100.2, 100.3, 100.4):
        clock.now = late
        breaker.failed()
    clock.now = 100.5

    assert breaker.allows()


def test_a_probe_that_never_reports_blocks_nobody(breaker: Breaker, clock: Clock) -> None:
    """Half a second after a silent probe another one goes out."""
    breaker.failed()
    clock.now = 100.5
    assert breaker.allows()
    clock.now = 100.99
    assert not breaker.allows()
    clock.now = 101.0

    assert [breaker.allows() for _ in range(2)] == [True, False]


def test_a_closed_breaker_opens_again(breaker: Breaker, clock: Clock) -> None:
    """A failure after a recovery stops calls for a full half second again."""
    breaker.failed()
    clock.now = 100.5
    assert breaker.allows()
    breaker.succeeded()
    clock.now = 107.0
    breaker.failed()

    clock.now = 107.49
    assert not breaker.allows()
    clock.now = 107.5
    assert breaker.allows()


def test_five_doubtful_failures_in_a_row_stop_all_calls(breaker: Breaker) -> None:
    """What may be the fault of one call opens the breaker the fifth time, not before."""
    allowed = []
    for _ in range(5):
        breaker.ended(StoreFailed())
        allowed.append(breaker.allows())

    assert allowed == [True, True, True, True, False]


def test_a_success_takes_doubts_away(breaker: Breaker) -> None:
    """With any other answer in every five, doubtful failures stop nothing, however many."""
    for answer in (None, ValueError()) * 10:
        for _ in range(4):
            breaker.ended(StoreFailed())
        breaker.ended(answer)

    assert breaker.allows()
    breaker.ended(StoreUnavailable())
    assert not breaker.allows()


def test_doubts_put_off_no_probe(breaker: Breaker, clock: Clock) -> None:
    """While the breaker is open more of them change nothing; one answer closes it."""
    for _ in range(20):
        breaker.ended(StoreFailed())
        clock.now += 0.02
    clock.now = 100.58
    assert breaker.allows()

    breaker.ended(None)

    assert [breaker.allows() for _ in range(3)] == [True, True, True]


def test_threads_share_one_probe(breaker: Breaker, clock: Clock) -> None:
    """Of 16 threads that ask at the same moment, one may probe."""
    breaker.failed()
    clock.now = 100.5
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: breaker.allows(), range(1600)))

    assert answers.count(True) == 1
