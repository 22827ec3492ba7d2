"""The pure policy of when to start a dead child again."""

from toto._core.restart import RestartBackoff


def test_delay_doubles_up_to_its_maximum() -> None:
    """Deaths in a row wait 0.1 s, then twice as long each, then 5 s each."""
    backoff = RestartBackoff()

    delays = [backoff.delay_after(uptime_seconds=1.0) for _ in range(9)]

    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


def test_delay_starts_again_after_a_healthy_time() -> None:
    """A child that stayed up 30 s is not punished for its earlier deaths."""
    backoff = RestartBackoff()
    before = [backoff.delay_after(uptime_seconds=29.9) for _ in range(3)]

    after = [backoff.delay_after(uptime_seconds=30.0), backoff.delay_after(uptime_seconds=0.0)]

    assert before == [0.1, 0.2, 0.4]
    assert after == [0.1, 0.2]
