"""The table of deadlines on a clock that the test turns."""

from typing import Any, cast

from toto._wire.messages import RequestInfo
from toto_gateway.dispatch.deadlines import Deadlines
from toto_gateway.dispatch.pending import CallRequest, PendingCall
from toto_testkit.dispatch_model import Outcome
from toto_testkit.manual_loop import ManualLoop

INFO = RequestInfo("r", "POST", "/", (), "127.0.0.1", "", "json", None)


class Table:
    """Deadlines, and the calls they have given up."""

    def __init__(self) -> None:
        self.loop = ManualLoop()
        self.expired: list[int] = []
        self.deadlines = Deadlines(cast(Any, self.loop), lambda c: self.expired.append(c.call_id))

    def add(self, call_id: int, seconds: float) -> PendingCall:
        request = CallRequest("m", b"", INFO, seconds)
        call = PendingCall(
            call_id, request, Outcome("x"), deadline=self.loop.time() + seconds, arrived_at=0.0
        )
        self.deadlines.add(call)
        return call


def test_a_call_expires_at_its_deadline_and_not_before() -> None:
    """To a precision of 20 ms, and never early."""
    table = Table()
    table.add(1, 1.0)

    table.loop.advance(0.99)
    assert table.expired == []
    table.loop.advance(0.03)
    assert table.expired == [1]


def test_calls_expire_in_the_order_of_their_deadlines() -> None:
    """Whatever the order they came in; a shorter one moves the timer forward."""
    table = Table()
    table.add(1, 3.0)
    table.add(2, 1.0)
    table.add(3, 2.0)

    for _ in range(35):
        table.loop.advance(0.1)

    assert table.expired == [2, 3, 1]


def test_a_removed_call_does_not_expire() -> None:
    """Nor does removing it twice, or one that was never there, do harm."""
    table = Table()
    first, _ = table.add(1, 1.0), table.add(2, 1.0)

    table.deadlines.remove(first)
    table.deadlines.remove(first)
    table.loop.advance(2.0)
    table.deadlines.remove(first)

    assert table.expired == [2]


def test_nothing_expires_after_close() -> None:
    """Closing may happen twice."""
    table = Table()
    table.add(1, 1.0)

    table.deadlines.close()
    table.deadlines.close()
    table.loop.advance(2.0)

    assert table.expired == []
