"""Answers as a script that calls a function of the page: ``@jsonp`` (section 7)."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.formats import MSGPACK, json_lines
from toto_testkit.http import Response
from toto_testkit.sessions import UNLIMITED, Browser, new_client

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NOT_A_NAME = {
    "error": {"code": 1003, "value": "Invalid parameters: jsonp: not the name of a function"}
}


@pytest.fixture(scope="module")
def cookies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Sessions in cookies, over plain HTTP."""
    directory = tmp_path_factory.mktemp("cookies")
    options = {
        **UNLIMITED,
        "sqlite_path": str(directory / "t.db"),
        "use_cookies": True,
        "secure_cookies": False,
        "cookie_secret": "a secret that signs cookies, 32+",
    }
    with Cluster(directory, workers=1, options=options) as started:
        yield started


def assert_script(response: Response, name: str) -> Any:
    """Check that an answer is a script which calls the function, and return with what."""
    assert response.status == 200
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"
    start, end = f"/**/{name}(".encode(), b");"
    assert response.body.startswith(start)
    assert response.body.endswith(end)
    return json.loads(response.body[len(start) : -len(end)])


def test_the_result_is_handed_to_the_function(cluster: Cluster) -> None:
    """The result itself, without an envelope; the method does not see the parameter."""
    response = cluster.get("/styles/jsonp?jsonp=show&a=1")

    assert assert_script(response, "show") == {"a": "1"}
    assert response.body == b'/**/show({"a":"1"});'


def test_a_json_request_may_ask_for_a_script(cluster: Cluster) -> None:
    """Its parameters are the place."""
    response = cluster.call("styles.jsonp", {"jsonp": "show", "a": [1, None]})

    assert assert_script(response, "show") == {"a": [1, None]}


def test_the_parameter_may_have_another_name(cluster: Cluster) -> None:
    """The default one is an ordinary parameter then."""
    response = cluster.get("/styles/jsonp_named?callback=show&jsonp=other&a=1")

    assert assert_script(response, "show") == {"jsonp": "other", "a": "1"}
    assert cluster.get("/styles/jsonp_named?jsonp=show&a=1").result == {"jsonp": "show", "a": "1"}


def test_without_the_parameter_it_is_an_ordinary_answer(cluster: Cluster) -> None:
    """An envelope, as of any method."""
    response = cluster.get("/styles/jsonp?a=1")

    assert response.content_type == "application/json"
    assert response.json() == {"result": {"a": "1"}}


def test_a_form_may_ask_for_a_script(cluster: Cluster) -> None:
    """There the parameter is a list of one."""
    response = cluster.send("POST", "/styles/jsonp", FORM, b"jsonp=show&a=1")
    twice = cluster.send("POST", "/styles/jsonp", FORM, b"jsonp=show&jsonp=other")

    assert assert_script(response, "show") == {"a": ["1"]}
    assert twice.json() == NOT_A_NAME


@pytest.mark.parametrize(
    "name", ["f", "$", "_", "jQuery_1", "app.pages.show", "a.$._", "F0", "a" * 64]
)
def test_names_of_functions(cluster: Cluster, name: str) -> None:
    """Identifiers joined by dots, of 64 characters at most."""
    assert assert_script(cluster.get(f"/styles/jsonp?jsonp={name}"), name) == {}


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a" * 65,
        "1a",
        "a.",
        ".a",
        "a..b",
        "a.1",
        "a b",
        "a-b",
        "a[0]",
        'a["b"]',
        "a()",
        "alert(1);//",
        "a\n",
        "a\r\nx-evil: 1",
        "a\u2028",
        "é",
        "аlert",  # noqa: RUF001  # the first letter is Cyrillic
        "a\u200b",
        "a;b",
        "</script>",
        "\x00",
        "%61",
    ],
)
def test_other_names_are_refused(cluster: Cluster, name: str) -> None:
    """By an ordinary error, so that nothing of the name comes back as a script."""
    by_query = cluster.get(f"/styles/jsonp?jsonp={quote(name, safe='')}")
    by_body = cluster.call("styles.jsonp", {"jsonp": name})

    for response in (by_query, by_body):
        assert response.status == 200
        assert response.content_type == "application/json"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.json() == NOT_A_NAME


@pytest.mark.parametrize("value", [7, None, True, {}, [], ["a", "b"], [7]])
def test_names_that_are_no_text(cluster: Cluster, value: object) -> None:
    """JSON can carry other values."""
    assert cluster.call("styles.jsonp", {"jsonp": value}).json() == NOT_A_NAME


def test_line_ends_of_old_javascript_are_escaped(cluster: Cluster) -> None:
    """JSON allows them within texts, where older engines end the line."""
    response = cluster.call("styles.jsonp", {"jsonp": "f", "a": "\u2028\u2029\u00e9"})

    assert response.body == b'/**/f({"a":"\\u2028\\u2029\xc3\xa9"});'


def test_errors_are_handed_to_the_function(cluster: Cluster) -> None:
    """With status 200, for a browser runs no script of another."""
    meant = cluster.get("/styles/jsonp?jsonp=show&code=4242")
    unexpected = cluster.get("/styles/jsonp?jsonp=show&text=secret")
    missing = cluster.get("/styles/jsonp_named?callback=show")

    assert assert_script(meant, "show") == {"error": {"code": 4242, "value": "refused"}}
    assert assert_script(unexpected, "show")["error"]["code"] == 1000
    assert b"secret" not in unexpected.body
    assert assert_script(missing, "show") == {
        "error": {"code": 1003, "value": "Missing parameters: a"}
    }


def test_status_codes_of_errors_do_not_reach_a_page(tmp_path_factory: Any) -> None:
    """Not even with ``error_status = "http"``."""
    options = {"error_status": "http"}
    with Cluster(tmp_path_factory.mktemp("http"), workers=1, options=options) as cluster:
        as_script = cluster.get("/styles/jsonp_named?callback=show")
        ordinary = cluster.get("/styles/jsonp_named")

    assert assert_script(as_script, "show")["error"]["code"] == 1003
    assert ordinary.status == 400


def test_head_has_no_script(cluster: Cluster) -> None:
    """Its headers are those of the script."""
    response = cluster.send("HEAD", "/styles/jsonp?jsonp=show&a=1")

    assert response.status == 200
    assert response.content_type == "text/javascript"
    assert response.body == b""


def test_a_member_of_a_batch_is_an_ordinary_member(cluster: Cluster) -> None:
    """The parameter is taken out and looked at all the same."""
    answers = cluster.batch(
        {
            "a": member("styles.jsonp", jsonp="show", a=1),
            "b": member("styles.jsonp", jsonp="show", code=7),
            "c": member("styles.jsonp", jsonp="alert(1)"),
        }
    )

    assert answers == {
        "a": {"result": {"a": 1}},
        "b": {"error": {"code": 7, "value": "refused"}},
        "c": NOT_A_NAME,
    }


def test_other_formats_and_streams_stay_what_they_are(cluster: Cluster) -> None:
    """A script can carry JSON only, and only one value."""
    body = {"method": "styles.jsonp", "parameters": {"jsonp": "show", "a": 1}}

    packed = cluster.post(body, "/", None, MSGPACK)
    stream = cluster.get("/styles/jsonp_stream?jsonp=show&a=1")

    assert MSGPACK.loads(packed.body) == {"result": {"a": 1}}
    assert json_lines(stream.body) == [{"result": {"a": "1"}}, {"end": True}]


def test_who_is_known_by_a_cookie_is_refused(cookies: Cluster) -> None:
    """Any page could read the answer; without the parameter it is answered as ever."""
    browser = Browser(cookies)
    user_id = browser.create()

    as_script = browser.call("styles.jsonp_user", {"jsonp": "show"})
    of_nobody = browser.call("styles.jsonp", {"jsonp": "show"})
    by_script_element = browser.send("GET", "/styles/jsonp_user?jsonp=show")

    for response in (as_script, of_nobody):
        assert response.content_type == "application/json"
        assert response.json() == {"error": {"code": 1004, "value": "Not authorized"}}
    assert by_script_element.status == 405
    assert user_id.encode() not in by_script_element.body
    assert browser.call("styles.jsonp_user").result == f"for {user_id}"


def test_who_is_known_by_a_header_gets_the_script(cookies: Cluster) -> None:
    """No page can make a browser send it; nor is there anything to refuse to strangers."""
    client = new_client(cookies)
    headers = {"x-toto-session-id": client.session_id}

    known = cookies.call("styles.jsonp_user", {"jsonp": "show"}, headers)
    stranger = cookies.call("styles.jsonp", {"jsonp": "show", "a": 1})

    assert assert_script(known, "show") == f"for {client.user_id}"
    assert assert_script(stranger, "show") == {"a": 1}
