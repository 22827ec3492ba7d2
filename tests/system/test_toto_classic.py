"""An application written as for Toto 1.0 runs as it did, whichever commands serve it."""

import base64
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from toto_testkit.classic import WAYS, ClassicApp
from toto_testkit.cluster import member
from toto_testkit.fixtures import InBackground
from toto_testkit.formats import BSON, JSON, MSGPACK, Format, Upload, multipart
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

KINDS = ["", "_async", "_callback", "_coroutine", "_task", "_task_coroutine"]
FAILING_KINDS = ["", "_async", "_coroutine", "_task", "_task_coroutine"]
PARAMETERS = {"arg1": 1, "arg2": "hello"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


@pytest.fixture(scope="module", params=WAYS)
def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClassicApp]:
    """The application with one worker, whose modules every call shares."""
    directory = tmp_path_factory.mktemp("classic")
    with ClassicApp(directory, workers=1, way=request.param) as started:
        yield started


# -- kinds of methods


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_is_returned_by_every_kind(shop: ClassicApp, kind: str) -> None:
    """Functions, threads, callbacks, coroutines and tasks answer the same."""
    assert shop.call(f"return_value{kind}", PARAMETERS).json() == {
        "result": {"parameters": PARAMETERS}
    }


@pytest.mark.parametrize("kind", FAILING_KINDS)
def test_a_toto_exception_reaches_the_client_from_every_kind(shop: ClassicApp, kind: str) -> None:
    """Code and value are those of the exception, and the status is 200."""
    response = shop.call(f"throw_toto_exception{kind}", PARAMETERS)

    assert response.status == 200
    assert response.json() == {"error": {"code": 4242, "value": "Test Toto Exception"}}


@pytest.mark.parametrize("kind", FAILING_KINDS)
def test_another_exception_is_a_server_error_from_every_kind(shop: ClassicApp, kind: str) -> None:
    """The client gets a fixed text and the request id, the log has the exception."""
    request_id = f"fails{kind}"

    response = shop.call(f"throw_exception{kind}", {}, {"x-request-id": request_id})

    assert response.status == 200
    assert response.error["code"] == 1000
    assert response.error["value"].startswith("Internal server error")
    assert request_id in response.error["value"]
    poll_until(lambda: "ValueError: Test Exception" in shop.output())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_in_a_batch(shop: ClassicApp, kind: str) -> None:
    """Each member of a batch of three has its own answer."""
    members = {key: member(f"return_value{kind}", key=key) for key in ("a", "b", "c")}

    entries = shop.batch(members)

    assert entries == {key: {"result": {"parameters": {"key": key}}} for key in ("a", "b", "c")}


def test_errors_of_every_kind_in_one_batch(shop: ClassicApp) -> None:
    """A member that fails leaves the others alone."""
    members = {kind or "_": member(f"throw_toto_exception{kind}") for kind in FAILING_KINDS}

    entries = shop.batch({**members, "good": member("return_value", a=1)})

    error = {"error": {"code": 4242, "value": "Test Toto Exception"}}
    assert entries.pop("good") == {"result": {"parameters": {"a": 1}}}
    assert entries == dict.fromkeys(members, error)


def test_pooled_instances_work_in_tasks(shop: ClassicApp) -> None:
    """``AwaitableInstance`` and ``InstancePool`` give what the instance returns."""
    assert shop.call("pooled", {"a": 1, "b": 2}).result == [3, 4, 5, 2]


# -- requests


@pytest.mark.parametrize("body_format", [JSON, MSGPACK, BSON])
def test_every_format_is_answered_in_itself(shop: ClassicApp, body_format: Format) -> None:
    """The options of the flat configuration file are in force."""
    response = shop.post(
        {"method": "return_value", "parameters": PARAMETERS}, body_format=body_format
    )

    assert response.content_type == body_format.content_type
    assert body_format.loads(response.body) == {"result": {"parameters": PARAMETERS}}


def test_forms_queries_and_urls_call_methods(shop: ClassicApp) -> None:
    """The shapes of parameters are Toto's."""
    by_url = shop.post({"parameters": PARAMETERS}, "/return_value")
    by_query = shop.get("/return_value?arg1=1&arg2=hello&arg2=you")
    by_form = shop.send("POST", "/return_value", FORM, b"arg1=1&arg2=hello")
    headers, body = multipart([("a", "1")], [Upload("f", "x.bin", "image/png", b"\x00\xff")])
    by_multipart = shop.send("POST", "/search", headers, body)

    assert by_url.result == {"parameters": PARAMETERS}
    assert by_query.result == {"parameters": {"arg1": "1", "arg2": ["hello", "you"]}}
    assert by_form.result == {"parameters": {"arg1": ["1"], "arg2": ["hello"]}}
    assert by_multipart.error["code"] == 1003


def test_missing_and_unknown_methods(shop: ClassicApp) -> None:
    """The texts are those that Toto's clients look for."""
    missing = shop.post({"parameters": PARAMETERS})
    unknown = shop.call("bad_method.test", PARAMETERS)
    imported = shop.call("account.create.invoke", PARAMETERS)

    assert missing.json() == {"error": {"code": 1002, "value": "Missing method."}}
    assert unknown.json() == {"error": {"code": 1001, "value": "Cannot call 'bad_method.test'."}}
    assert imported.error["code"] == 1001


def test_required_and_default_parameters(shop: ClassicApp) -> None:
    """Defaults are filled in, never shared, and what lacks is named in order."""
    first = shop.call("search", {"text": "hat", "shop": 1})
    second = shop.call("search", {"text": "cat", "shop": 2, "limit": 5})
    lacking = shop.call("search", {})

    assert first.result == {"text": "hat", "shop": 1, "limit": 10, "tags": ["seen"]}
    assert second.result == {"text": "cat", "shop": 2, "limit": 5, "tags": ["seen"]}
    assert lacking.error == {"code": 1003, "value": "Missing parameters: shop, text"}


def test_one_star_import_is_enough(shop: ClassicApp) -> None:
    """``from toto.invocation import *`` brings the exceptions along, as Toto's did."""
    right = shop.call("order", {"article": "hat"})
    wrong = shop.call("order", {"article": "hat", "count": 11})

    assert right.result == {"article": "hat", "count": 1}
    assert wrong.error == {"code": 1003, "value": "Too many"}


def test_a_method_reads_the_request(shop: ClassicApp) -> None:
    """Names of headers are found in any spelling, as on Tornado's request."""
    headers = {"User-Agent": "old client"}

    assert shop.send("GET", "/who?a=%41", headers).result == {
        "verb": "GET",
        "uri": "/who?a=%41",
        "path": "/who",
        "agent": "old client",
        "remote_ip": "127.0.0.1",
    }


def test_a_page_of_the_shop_may_read_answers(shop: ClassicApp) -> None:
    """``allow_origin`` of the configuration file is in force."""
    response = shop.send("OPTIONS", "/return_value", {"Origin": "https://shop.example"})

    assert response.status in {200, 204}
    assert response.headers["access-control-allow-origin"] == "https://shop.example"


# -- other answers


def test_jsonp_calls_back(shop: ClassicApp) -> None:
    """The callback is a dotted name; without one the answer is plain JSON."""
    response = shop.get("/feed?callback=shop.show&a=1")
    plain = shop.get("/feed?a=1")
    default = shop.get("/feed_default?jsonp=cb&a=1")
    evil = shop.get("/feed?callback=alert(1)//")

    assert response.content_type in {"text/javascript", "application/javascript"}
    assert response.headers["x-content-type-options"] == "nosniff"
    text = response.body.decode()
    called = re.fullmatch(r"/\*\*/shop\.show\((.*)\);?\s*", text)
    assert called is not None, text
    assert JSON.loads(called[1].encode()) == {"items": ["hat", "cat"], "parameters": {"a": "1"}}
    assert plain.result == {"items": ["hat", "cat"], "parameters": {"a": "1"}}
    assert re.fullmatch(r'/\*\*/cb\(\{"a": ?"1"\}\);?\s*', default.body.decode())
    assert b"alert(1)" not in evil.body
    assert evil.content_type == "application/json"


@pytest.mark.parametrize(
    ("method", "content_type", "body"),
    [
        ("report", "text/csv", b"name,price\nhat,12\n"),
        ("pixel", "image/gif", GIF),
        ("blob", "application/octet-stream", bytes(range(256))),
    ],
)
def test_raw_responses(shop: ClassicApp, method: str, content_type: str, body: bytes) -> None:
    """The return value is the body, in the type the method chose."""
    response = shop.get(f"/{method}")

    assert response.content_type == content_type
    assert response.body == body


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/page?name=nobody", "/missing.html"),
        ("/page", "/form.html"),
        ("/page?name=broken", "/error.html"),
        ("/page_strict?code=404", "/missing.html"),
        ("/go?url=/elsewhere", "/elsewhere"),
    ],
)
def test_redirects(shop: ClassicApp, target: str, location: str) -> None:
    """``error_redirect`` goes by the code, and then to its default."""
    response = shop.get(target)

    assert response.status == 302
    assert response.headers["location"] == location


def test_what_is_not_redirected(shop: ClassicApp) -> None:
    """A page that works, and a code that is not in a map without a default."""
    assert shop.get("/page?name=hat").result == {"page": "hat"}
    assert shop.get("/page_strict?code=405").error == {"code": 405, "value": "No luck"}


def test_head_spares_the_body(shop: ClassicApp) -> None:
    """The method sees ``headers_only``, and the client gets its headers."""
    head = shop.send("HEAD", "/stock")
    full = shop.get("/stock")

    assert (head.status, head.body) == (200, b"")
    assert (head.headers["x-stock"], head.headers["x-body"]) == ("17", "spared")
    assert "x-body" not in full.headers
    assert full.result["stock"] == 17


def test_a_raw_answer_in_parts(shop: ClassicApp) -> None:
    """Parts written with ``finish=False`` and a last one are one body."""
    response = shop.get("/export")

    assert response.content_type == "text/plain"
    assert response.body == b"line 0\nline 1\nline 2\nend\n"


def test_a_cookie_of_the_application(shop: ClassicApp) -> None:
    """``set_cookie`` of Tornado's handler is there."""
    response = shop.call("remember_me", {"name": "ada"})

    assert response.result == "remembered"
    assert "seen=ada" in response.headers["set-cookie"]


def test_the_database_of_the_application(shop: ClassicApp) -> None:
    """``handler.db`` is the driver's own object."""
    assert shop.call("tables").result == 42


def test_a_client_reports_an_error(shop: ClassicApp) -> None:
    """``client_error`` is re-exported and writes to the log."""
    report = {"client_error": "undefined is no function", "client_type": "web"}

    response = shop.call("client_error", report)

    assert "error" not in response.json()
    poll_until(lambda: "undefined is no function" in shop.output())


# -- events and clean-up


def test_a_long_poll_is_answered_by_an_event(shop: ClassicApp, in_background: InBackground) -> None:
    """Two waiting clients get the message once each."""
    polls = [in_background(shop.call, "chat.receive") for _ in range(2)]
    poll_until(lambda: shop.call("chat.waiting").result == 2)

    sent = shop.call("chat.post", {"message": {"text": "hello"}})

    assert sent.result == {"sent": True}
    answers = [poll.result().json() for poll in polls]
    assert answers == [{"result": {"message": {"text": "hello"}}}] * 2
    assert shop.call("chat.waiting").result == 0


def test_an_event_reaches_every_worker(
    tmp_path_factory: pytest.TempPathFactory, in_background: InBackground
) -> None:
    """Eight clients that wait at two workers all hear of it."""
    with ClassicApp(tmp_path_factory.mktemp("chat"), workers=2, way=WAYS[2]) as shop:
        polls = [in_background(shop.call, "chat.receive") for _ in range(8)]

        def all_have_heard() -> bool:
            shop.call("chat.post", {"message": "hello"})
            return all(poll.done() for poll in polls)

        poll_until(all_have_heard)

    assert [poll.result().result for poll in polls] == [{"message": "hello"}] * 8


def test_a_client_that_leaves_is_cleaned_up_after(shop: ClassicApp) -> None:
    """``on_connection_close`` of the module is called with the same handler."""
    with shop.connect() as connection:
        connection.request("GET", "/watch")
        poll_until(lambda: shop.call("watchers").result == 1)

    poll_until(lambda: shop.call("watchers").result == 0)


# -- handlers around every call


def test_calls_are_counted_by_the_startup_functions_handlers(shop: ClassicApp) -> None:
    """Before and after handlers see the same UUID; failed calls are told too."""
    shop.call("throw_toto_exception_task_coroutine")
    shop.call("return_value_async")

    calls = poll_until(lambda: _calls_when_settled(shop), 5.0, "every call but one has ended")
    ids = {method: transaction_id for transaction_id, method in calls["started"]}
    for method in ("throw_toto_exception_task_coroutine", "return_value_async"):
        assert str(UUID(ids[method])) == ids[method]
        assert ids[method] in calls["finished"]


def test_a_batch_is_counted_as_a_whole_too(shop: ClassicApp) -> None:
    """Each member has a transaction, and ``<batch>`` is around them."""
    before = len(_began(shop, "return_value_coroutine"))

    shop.batch({key: member("return_value_coroutine") for key in ("a", "b")})

    poll_until(lambda: len(_began(shop, "return_value_coroutine")) == before + 2)
    wrapping = poll_until(lambda: _began(shop, "<batch>"), 5.0, "the batch is told")[-1]
    poll_until(lambda: f"Finished {wrapping}" in shop.output())


def _calls_when_settled(shop: ClassicApp) -> Any:
    calls = shop.call("calls").result
    return calls if len(calls["finished"]) == len(calls["started"]) - 1 else None


def _began(shop: ClassicApp, method: str) -> list[str]:
    return re.findall(rf"Begin {re.escape(method)} (\S+)", shop.output())
