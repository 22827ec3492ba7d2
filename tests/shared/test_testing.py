"""``call_method``: methods as a client sees them, without a server."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgpack
import pytest
import tornado.gen

from toto._core.hooks import CallHooks, HookedHandler
from toto.events import EventManager
from toto.exceptions import TotoException
from toto.handler import BatchHandlerProxy
from toto.invocation import (
    asynchronous,
    authenticated,
    default_parameters,
    error_redirect,
    jsonp,
    raw_response,
    requires,
)
from toto.testing import Answer, call_method
from toto_testkit.formats import Upload, multipart
from toto_testkit.sample_methods import count, fail, refuse

ADA = {"user_id": "ada", "count": 1}


def echo(handler: Any, parameters: Any) -> Any:
    return parameters


def request_of(handler: Any, parameters: Any) -> Any:
    request = handler.request
    shown = (request.verb, request.uri, request.content_type, request.remote_ip)
    return [*shown, request.headers.get("x-a"), handler.headers_only, parameters]


# -- what is called


def test_a_function_is_called() -> None:
    """The result is the decoded one: a tuple has become a list."""
    answer = call_method(echo, {"a": (1, 2)})

    assert answer.result == {"a": [1, 2]}
    assert answer.error is None
    assert answer.items is None
    assert answer.session is None
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert answer.body == b'{"result":{"a":[1,2]}}'


def test_an_unknown_option_is_refused() -> None:
    """A typing mistake does not pass for a default."""
    with pytest.raises(TypeError, match="call_method has no option verbs"):
        call_method(echo, verbs="GET")  # type: ignore[call-arg]


async def in_coroutine(handler: Any, parameters: Any) -> Any:
    await asyncio.sleep(0)
    return parameters


@tornado.gen.coroutine
def in_tornado(handler: Any, parameters: Any) -> Any:
    yield tornado.gen.moment
    return parameters


@asynchronous
def in_a_while(handler: Any, parameters: Any) -> None:
    threading.Timer(0.02, handler.respond, [parameters]).start()


@default_parameters({"b": 2})
@requires("a")
def decorated(handler: Any, parameters: Any) -> Any:
    return {"a": parameters["a"]} if parameters["b"] == 2 else None


@pytest.mark.parametrize("method", [in_coroutine, in_tornado, in_a_while, decorated])
def test_every_kind_of_method_answers(method: Any) -> None:
    """Coroutines, those of Tornado, later answers, and decorated functions."""
    assert call_method(method, {"a": 1}).result == {"a": 1}


def test_a_test_may_have_an_event_loop() -> None:
    """The call runs on another one."""

    async def run() -> Any:
        return call_method(in_coroutine, {"a": 1}).result

    assert asyncio.run(run()) == {"a": 1}


def test_hooks_run_around_the_method(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have run when the call returns."""
    seen: list[Any] = []
    hooks = CallHooks(
        before=lambda handler, number, method: seen.append(method),
        after=lambda handler, number: seen.append(handler.finished),
    )
    monkeypatch.setattr(HookedHandler, "call_hooks", hooks)

    call_method(echo)

    assert seen == [echo.__module__, True]


# -- requests


def test_the_request_is_what_the_test_says() -> None:
    """Verb, address, headers and the client's address arrive."""
    answer = call_method(
        request_of,
        {"a": 1, "b": ["x", "y"]},
        verb="GET",
        uri="/shop?c=3",
        headers={"X-A": "b"},
        remote_ip="192.0.2.7",
    )

    query = {"a": "1", "b": ["x", "y"], "c": "3"}
    assert answer.result == [
        "GET", "/shop?c=3&a=1&b=x&b=y", "", "192.0.2.7", "b", False, query,
    ]  # fmt: skip


def test_head_has_no_body() -> None:
    """The method knows, and its headers are there."""

    def invoke(handler: Any, parameters: Any) -> Any:
        handler.set_header("X-Only", str(handler.headers_only))

    answer = call_method(invoke, verb="HEAD")

    assert (answer.body, answer.headers["x-only"]) == (b"", "True")


@pytest.mark.parametrize("name", ["json", "msgpack", "bson"])
def test_formats(name: Any) -> None:
    """The answer is in the format of the request."""
    answer = call_method(echo, {"a": 1}, body_format=name)

    assert answer.result == {"a": 1}
    assert answer.content_type == f"application/{name}"


def test_a_form_and_an_upload() -> None:
    """What a browser sends, written by the test or by ``call_method``."""
    headers, body = multipart([], [Upload("file", "cat.txt", "text/plain", b"cat")])

    form = call_method(echo, {"a": ["1", "2"]}, body_format="form")
    upload = call_method(
        lambda _, given: given["files"]["file"][0]["body"].decode(), headers=headers, body=body
    )

    assert form.result == {"a": ["1", "2"]}
    assert upload.result == "cat"


def test_a_bad_body_is_the_clients_mistake() -> None:
    """It is an answer, not an exception."""
    answer = call_method(echo, body=b"{")

    assert answer.error is not None
    assert (answer.error.code, answer.status) == (1100, 400)


def test_msgpack_carries_bytes() -> None:
    """What JSON cannot carry is an error of the test in JSON, and fine in msgpack."""
    answer = call_method(echo, {"a": b"\0"}, body_format="msgpack")

    assert answer.result == {"a": b"\0"}
    assert msgpack.unpackb(answer.body) == {"result": {"a": b"\0"}}


def test_a_member_of_a_batch() -> None:
    """It gets the proxy, and what it saved is saved when it has ended."""

    @authenticated
    def invoke(handler: Any, parameters: Any) -> Any:
        handler.session["count"] = 5
        handler.session.save()
        return [isinstance(handler, BatchHandlerProxy), handler.request_key]

    answer = call_method(invoke, session=ADA, batch_key="k1")

    assert answer.result == [True, "k1"]
    assert answer.session is not None
    assert answer.session.state == {"count": 5}


def test_a_raw_answer_in_a_batch() -> None:
    """A batch is one document."""
    answer = call_method(raw_text, batch_key="k1")

    assert answer.error is not None
    assert answer.error.value == "A raw response cannot be part of a batch."


# -- answers


@raw_response
def raw_text(handler: Any, parameters: Any) -> Any:
    handler.response_type = "text/plain"
    return "hat"


def test_a_raw_response() -> None:
    """Body and content type are the method's own."""
    answer = call_method(raw_text)

    assert (answer.body, answer.content_type, answer.result) == (b"hat", "text/plain", None)


def test_bytes_in_pieces() -> None:
    """``finish=False`` leaves the answer open, in a thread and in a coroutine."""

    def in_thread(handler: Any, parameters: Any) -> None:
        handler.respond_raw(b"x" * 500_000, "text/plain", finish=False)
        handler.respond_raw(b"y", "text/plain")

    async def on_loop(handler: Any, parameters: Any) -> None:
        await handler.respond_raw(b"x" * 500_000, "text/plain", finish=False)
        await handler.respond_raw(b"y", "text/plain")

    for method in (in_thread, on_loop):
        answer = call_method(method)
        assert (answer.body, answer.content_type) == (b"x" * 500_000 + b"y", "text/plain")


def test_status_headers_and_cookies() -> None:
    """All that a method sets arrives."""

    def invoke(handler: Any, parameters: Any) -> None:
        handler.set_status(201)
        handler.set_header("X-A", "1")
        handler.set_cookie("b", "2")
        handler.set_cookie("c", "3")

    answer = call_method(invoke)

    assert (answer.status, answer.headers["x-a"]) == (201, "1")
    assert answer.headers.get_list("set-cookie") == ["b=2; Path=/", "c=3; Path=/"]


def test_redirects() -> None:
    """By the method, and by its errors; one of these is not raised."""

    def elsewhere(handler: Any, parameters: Any) -> None:
        handler.redirect("/there")

    answers = [
        call_method(elsewhere),
        call_method(error_redirect({2001: "/there"})(lambda *given: refuse(*given))),
        call_method(error_redirect({}, "/there")(lambda *given: fail(*given))),
    ]

    assert [each.status for each in answers] == [302] * 3
    assert [each.headers["location"] for each in answers] == ["/there"] * 3


def test_jsonp() -> None:
    """The answer is a script."""
    answer = call_method(jsonp(lambda _, given: given), {"a": "1", "jsonp": "f"}, verb="GET")

    assert answer.body == b'/**/f({"a":"1"});'
    assert answer.content_type == "text/javascript; charset=utf-8"


def items(handler: Any, parameters: Any) -> Iterator[Any]:
    yield from parameters
    if handler.request.headers.get("x-fail"):
        raise TotoException(2001, "no more")


async def async_items(handler: Any, parameters: Any) -> AsyncIterator[Any]:
    for each in parameters:
        yield each


@pytest.mark.parametrize("method", [items, async_items])
@pytest.mark.parametrize("name", ["json", "msgpack"])
def test_a_generator_gives_its_items(method: Any, name: Any) -> None:
    """They are decoded; large ones and none at all are no exception."""
    given: list[Any] = [1, {"a": 2}, "x" * 300_000]

    assert call_method(method, given, body_format=name).items == given
    assert call_method(method, given, body_format=name).result == given
    assert call_method(method, [], body_format=name).items == []


def test_a_generator_that_fails() -> None:
    """What it yielded before is there, and so is the error."""
    answer = call_method(items, [1, 2], headers={"x-fail": "yes"})

    assert answer.items == [1, 2]
    assert answer.error is not None
    assert (answer.error.code, answer.error.value, answer.status) == (2001, "no more", 200)


def test_a_raw_stream_that_fails() -> None:
    """The bytes before are there; the client would see the connection end."""

    @raw_response
    def invoke(handler: Any, parameters: Any) -> Iterator[Any]:
        yield b"abc"
        raise TotoException(2001, "no more")

    answer = call_method(invoke)

    assert answer.body == b"abc"
    assert answer.error is not None


# -- around it


def test_events_are_kept_and_delivered() -> None:
    """The test sees what was sent; a method that waits for it goes on."""

    @asynchronous
    def invoke(handler: Any, parameters: Any) -> None:
        handler.register_event_handler("sold", handler.respond)
        EventManager.instance().send("sold", {"hat": 1})
        EventManager.instance().send("counted", 5, broadcast=False)

    answer = call_method(invoke)

    assert answer.result == {"hat": 1}
    assert answer.events == [("sold", {"hat": 1}, True), ("counted", 5, False)]
    assert answer.events[0].name == "sold"
    assert call_method(echo).events == []


@pytest.mark.usefixtures("no_leaks")
def test_a_call_leaves_nothing_behind() -> None:
    """No threads and no descriptors."""
    for method in (echo, in_coroutine, in_a_while):
        call_method(method, session=ADA)


def test_log_lines_name_the_request(caplog: pytest.LogCaptureFixture) -> None:
    """The log of a method can be read in its test."""

    def invoke(handler: Any, parameters: Any) -> str:
        logging.getLogger("shop").warning("a hat is sold")
        name: str = handler.request_id
        return name

    answer = call_method(invoke)

    assert "a hat is sold" in caplog.text
    assert answer.result.startswith("test-")


def test_an_answer_can_be_read() -> None:
    """A failed assertion shows it; keys of sessions are not in it."""
    answer: Answer = call_method(count, {}, session=ADA)

    assert answer.session is not None
    assert "status=200" in repr(answer)
    assert answer.session.key not in repr(answer)
