"""``call_method``: errors that methods mean, and those that nobody meant."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from toto.exceptions import ERROR_DEADLINE, ERROR_SERVER, TotoException
from toto.invocation import timeout
from toto.testing import call_method
from toto_testkit.sample_methods import count, fail, refuse


def items(handler: Any, parameters: Any) -> Iterator[Any]:
    yield from parameters
    if handler.request.headers.get("x-fail"):
        raise TotoException(2001, "no more")


def test_an_error_the_method_means() -> None:
    """It is an answer: code, value and status as a client sees them."""
    answer = call_method(refuse)

    assert answer.error is not None
    assert (answer.error.code, answer.error.value) == (2001, {"why": "not today"})
    assert answer.status == 200
    with pytest.raises(TotoException, match="not today"):
        _ = answer.result


def test_statuses_of_errors() -> None:
    """As with the option of the gateway."""
    assert call_method(count).status == 200
    assert call_method(count, error_status="http").status == 401


@pytest.mark.parametrize("kind", ["plain", "coroutine", "generator", "respond"])
def test_an_unexpected_exception_reaches_the_test(kind: str) -> None:
    """It is the exception itself, with the line that raised it."""

    async def coroutine(handler: Any, parameters: Any) -> Any:
        fail(handler, parameters)

    def generator(handler: Any, parameters: Any) -> Iterator[Any]:
        yield 1
        fail(handler, parameters)

    def respond(handler: Any, parameters: Any) -> Any:
        handler.respond(error=LookupError("no such hat"))

    methods = {"plain": fail, "coroutine": coroutine, "generator": generator, "respond": respond}
    with pytest.raises(LookupError, match="no such hat") as raised:
        call_method(methods[kind])

    assert kind == "respond" or raised.traceback[-1].name == "fail"


def test_an_unexpected_exception_as_a_client_sees_it() -> None:
    """``raises=False`` gives the answer, ``debug=True`` the text in it."""
    answer = call_method(fail, raises=False, headers={"x-request-id": "r-1"})
    with_text = call_method(fail, raises=False, debug=True)

    assert answer.error is not None
    assert answer.error.code == ERROR_SERVER
    assert answer.error.value == "Internal server error (r-1)"
    assert with_text.error is not None
    assert with_text.error.value == "no such hat"


def test_a_result_that_cannot_be_encoded() -> None:
    """The message says what it is and where."""
    with pytest.raises(Exception, match=r"object.*\$\.hat|\$\.hat.*object"):
        call_method(lambda handler, parameters: {"hat": object()})


@pytest.mark.parametrize("kind", ["thread", "coroutine", "stream"])
def test_a_call_that_takes_too_long(kind: str) -> None:
    """The answer is that of a gateway, and the method is told."""
    told: list[bool] = []

    def thread(handler: Any, parameters: Any) -> None:
        while not handler.cancelled:
            time.sleep(0.005)
        told.append(True)

    async def coroutine(handler: Any, parameters: Any) -> None:
        try:
            await asyncio.sleep(10)
        finally:
            told.append(handler.cancelled)

    def stream(handler: Any, parameters: Any) -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            told.append(True)

    methods = {"thread": thread, "coroutine": coroutine, "stream": stream}
    answer = call_method(methods[kind], timeout_seconds=0.1)

    assert answer.error is not None
    assert answer.error.code == ERROR_DEADLINE
    assert told == [True]


def test_the_time_limit_of_the_method() -> None:
    """The decorator's counts unless the test says otherwise."""

    def deadline(handler: Any, parameters: Any) -> float:
        left: float = handler.deadline - time.monotonic()
        return left

    limited = timeout(5)(lambda *given: deadline(*given))

    assert 29 < call_method(deadline).result <= 30
    assert 4 < call_method(limited).result <= 5
    assert 1 < call_method(limited, timeout_seconds=2).result <= 2
