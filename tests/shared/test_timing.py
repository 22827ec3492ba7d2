"""When a method counts as quick."""

from toto._core.timing import MethodTimes, Timing


def timing_of(*microseconds: int) -> Timing:
    """Return a timing that has seen these run times."""
    timing = Timing()
    for each in microseconds:
        timing.add(each)
    return timing


def test_a_method_is_not_quick_before_it_has_been_seen_enough() -> None:
    """Seven quick calls prove nothing yet; eight do."""
    assert not timing_of(*[50] * 7).is_fast
    assert timing_of(*[50] * 8).is_fast


def test_a_mean_of_two_milliseconds_is_slow() -> None:
    """The limit is the mean, below 2 ms."""
    assert timing_of(*[1900] * 8).is_fast
    assert not timing_of(*[2000] * 8).is_fast


def test_one_long_call_makes_a_method_slow_for_a_thousand() -> None:
    """A call over 10 ms is remembered, however quick the others are."""
    timing = timing_of(*[50] * 100, 10_001, *[50] * 999)
    assert not timing.is_fast

    timing.add(50)

    assert timing.is_fast


def test_more_is_sent_ahead_the_quicker_a_method_is() -> None:
    """The window hides the round trip: many short calls, or one long one."""
    assert timing_of(*[10] * 8).ahead == 16
    assert timing_of(*[100] * 8).ahead == 4
    assert timing_of(*[1500] * 8).ahead == 1
    assert timing_of(*[5000] * 8).ahead == 0


def test_methods_are_timed_apart() -> None:
    """One method's times say nothing of another's."""
    times = MethodTimes()
    times.of("a").add(5)

    assert times.of("a").samples == 1
    assert times.of("b").samples == 0
    assert times.of("a") is times.of("a")
