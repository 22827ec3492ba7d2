"""What a method sees of its request and decides about its response (sections 2, 3 and 7)."""

import base64
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.formats import JSON, MSGPACK, Format
from toto_testkit.speaking import (
    ALL_WAYS,
    FORMATS,
    MEMBER_KEY,
    Way,
    every_format,
    every_single_way,
    every_way,
    speaking_options,
)
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
FACTS = "/contract/facts"
OTHER_VALUE = {"value": 1099511627776, "text": "é"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers, every format, and a database."""
    directory = tmp_path_factory.mktemp("requests")
    options = {
        **speaking_options(str(directory / "toto.db")),
        "allow_origin": "https://app.example",
    }
    with Cluster(directory, options=options) as started:
        yield started


# -- the request


@every_way
def test_the_request_is_told_to_a_method(cluster: Cluster, way: Way) -> None:
    """Verb, uri, path, headers, address and content type are those of the HTTP request."""
    headers = {"X-Own": "a, b; c=d", "x-request-id": "facts-1"}

    facts = way.call(cluster, "contract.facts", {"z": 1, "a": 2}, headers).result

    assert facts["verb"] == "POST"
    assert facts["uri"] == "/"
    assert facts["path"] == "/"
    assert facts["query"] == {}
    assert facts["headers"]["x-own"] == "a, b; c=d"
    assert facts["headers"]["content-type"] == way.body_format.content_type
    assert facts["content_type"] == way.body_format.content_type
    assert facts["remote_ip"] == "127.0.0.1"
    assert facts["request_id"] == "facts-1"
    assert facts["response_type"] == way.body_format.content_type
    assert facts["headers_only"] is False
    assert facts["cancelled"] is False
    assert facts["session"] is None
    assert facts["parameters"] == ["a", "z"]
    assert facts["class"] == ("BatchHandlerProxy" if way.is_batch else "TotoHandler")


@every_way
def test_the_deadline_is_ahead(cluster: Cluster, way: Way) -> None:
    """``request_timeout`` of five seconds has just begun."""
    facts = way.call(cluster, "contract.facts").result

    assert 3.0 < facts["seconds_left"] <= 5.0


@every_single_way
def test_the_body_is_told_as_it_was_sent(cluster: Cluster, way: Way) -> None:
    """``request.body`` has the bytes that a signature covers."""
    body = way.body_format.dumps({"method": "contract.facts", "parameters": {"ä": [1, 2.5]}})

    response = cluster.send("POST", "/", {"Content-Type": way.body_format.content_type}, body)

    facts = way.read(response).result
    assert base64.b64decode(facts["body"]) == body
    assert facts["body_type"] == "bytes"


def test_a_json_body_is_told_with_its_blanks(cluster: Cluster) -> None:
    """Nothing is encoded anew on the way to the method."""
    body = b' { "parameters" :\n {"b": 1,  "a": 1.50} , "method": "contract.facts" } '

    facts = cluster.send("POST", "/", {"Content-Type": "application/json"}, body).result

    assert base64.b64decode(facts["body"]) == body


def test_uri_path_and_query_of_a_get(cluster: Cluster) -> None:
    """The uri is as sent, the query is decoded, and repeated names are lists."""
    target = f"{FACTS}?a=1&b=%C3%A4+%26&a=2&empty=&method=x"

    facts = cluster.get(target).result

    assert facts["verb"] == "GET"
    assert facts["uri"] == target
    assert facts["path"] == FACTS
    assert facts["query"] == {"a": ["1", "2"], "b": ["ä &"], "empty": [""], "method": ["x"]}
    assert base64.b64decode(facts["body"]) == b""
    assert facts["parameters"] == ["a", "b", "empty", "method"]


def test_header_names_are_found_in_any_spelling(cluster: Cluster) -> None:
    """Clients spell them as they like."""
    facts = cluster.get(FACTS, {"X-MiXeD": "1", "USER-AGENT": "old"}).result

    assert facts["headers"]["x-mixed"] == "1"
    assert facts["headers"]["user-agent"] == "old"


@every_way
def test_each_call_has_a_transaction_of_its_own(cluster: Cluster, way: Way) -> None:
    """It is a UUID; the request id is made where none was given."""
    facts = [way.call(cluster, "contract.facts").result for _ in range(3)]

    ids = {each["transaction_id"] for each in facts}
    assert len(ids) == 3
    assert {str(UUID(each)) for each in ids} == ids
    assert len({each["request_id"] for each in facts}) == 3


@every_format
def test_members_of_a_batch_share_only_the_request_id(
    cluster: Cluster, body_format: Format
) -> None:
    """Every member has its own transaction, attributes and answer."""
    keys = ["a", "b", "ü", "z" * 64]
    batch = {key: member("contract.proxy", mark=key) for key in keys}

    response = cluster.post({"batch": batch}, body_format=body_format)

    entries = body_format.loads(response.body)["batch"]
    results = {key: entries[key]["result"] for key in keys}
    assert len({str(UUID(each.pop("transaction_id"))) for each in results.values()}) == 4
    assert results == {
        key: {
            "is_proxy": True,
            "is_handler": True,
            "request_key": key,
            "mark": key,
            "same_request": True,
            "same_id": True,
        }
        for key in keys
    }


@every_way
def test_the_request_id_comes_back(cluster: Cluster, way: Way) -> None:
    """As given; one that is too long or not visible is replaced."""
    given = way.call(cluster, "echo", {}, {"x-request-id": "order-17"}).response
    refused = way.call(cluster, "echo", {}, {"x-request-id": "x" * 129}).response

    assert given.headers["x-request-id"] == "order-17"
    assert 0 < len(refused.headers["x-request-id"]) <= 128
    assert refused.headers["x-request-id"] != "x" * 129


# -- other shapes of parameters


def test_forms_are_lists_of_texts(cluster: Cluster) -> None:
    """Repeated, empty, escaped and non-ASCII fields."""
    body = b"a=1&b=x+y&a=2&c=&d=%26%3D&e=%F0%9F%98%80"

    result = cluster.send("POST", "/echo", FORM, body).result

    assert result == {"a": ["1", "2"], "b": ["x y"], "c": [""], "d": ["&="], "e": ["\U0001f600"]}


def test_queries_are_texts_or_lists(cluster: Cluster) -> None:
    """One value is a text, repeated ones are a list in their order."""
    result = cluster.get("/echo?a=1&b=2&a=3&c=&d=%F0%9F%98%80").result

    assert result == {"a": ["1", "3"], "b": "2", "c": "", "d": "\U0001f600"}


@pytest.mark.parametrize("body_format", [JSON, MSGPACK])
def test_the_whole_body_without_parameters(cluster: Cluster, body_format: Format) -> None:
    """A body without the key is the parameters itself, its method included."""
    by_body = cluster.post({"method": "echo"}, body_format=body_format)
    by_url = cluster.post({"x": [1]}, "/echo", body_format=body_format)

    assert body_format.loads(by_body.body) == {"result": {"method": "echo"}}
    assert body_format.loads(by_url.body) == {"result": {"x": [1]}}


# -- the response


@every_single_way
def test_status_and_headers_are_the_methods(cluster: Cluster, way: Way) -> None:
    """The last ``set_header`` counts, ``add_header`` adds."""
    answer = way.call(cluster, "contract.decorated")

    assert answer.result == "decorated"
    assert answer.response.status == 201
    assert answer.response.headers["x-once"] == "second"
    assert answer.response.headers["x-twice"] == "one, two"


@every_single_way
def test_status_and_headers_stay_with_an_error(cluster: Cluster, way: Way) -> None:
    """A method may choose the status of its own errors."""
    answer = way.call(cluster, "contract.decorated", {"status": 402, "code": 5001})

    assert answer.error == {"code": 5001, "value": "decorated"}
    assert answer.response.status == 402
    assert answer.response.headers["x-once"] == "second"


@every_format
def test_a_member_does_not_set_the_batchs_status(cluster: Cluster, body_format: Format) -> None:
    """A batch has status 200, and every member its answer."""
    batch = {"a": member("contract.decorated"), "b": member("contract.decorated", code=5)}

    response = cluster.post({"batch": batch}, body_format=body_format)

    assert response.status == 200
    assert body_format.loads(response.body) == {
        "batch": {
            "a": {"result": "decorated"},
            "b": {"error": {"code": 5, "value": "decorated"}},
        }
    }


@every_single_way
@pytest.mark.parametrize("method", ["contract.other_format", "contract.other_format_later"])
@pytest.mark.parametrize("name", FORMATS)
def test_the_response_type_is_the_methods(
    cluster: Cluster, way: Way, method: str, name: str
) -> None:
    """The envelope is serialised according to ``handler.response_type``."""
    wanted = FORMATS[name]
    call = {"method": method, "parameters": {"type": wanted.content_type}}

    response = cluster.post(call, body_format=way.body_format)

    assert response.content_type == wanted.content_type
    assert wanted.loads(response.body) == {"result": OTHER_VALUE}


@every_single_way
@pytest.mark.parametrize("name", FORMATS)
def test_an_error_is_in_the_response_type_too(cluster: Cluster, way: Way, name: str) -> None:
    """A TotoException raised after the choice is serialised as chosen."""
    wanted = FORMATS[name]
    parameters = {"type": wanted.content_type, "code": 4242}
    call = {"method": "contract.other_format", "parameters": parameters}

    response = cluster.post(call, body_format=way.body_format)

    assert response.content_type == wanted.content_type
    assert wanted.loads(response.body) == {
        "error": {"code": 4242, "value": {"in": "another format"}}
    }


@pytest.mark.parametrize("way", [way for way in ALL_WAYS if way.is_batch], ids=lambda way: way.name)
@pytest.mark.parametrize("name", FORMATS)
def test_a_batch_is_in_the_format_of_its_request(cluster: Cluster, way: Way, name: str) -> None:
    """A member's choice does not break the answers of the others."""
    parameters = {"type": FORMATS[name].content_type}
    batch = {
        MEMBER_KEY: {"method": "contract.other_format", "parameters": parameters},
        "b": member("echo", a=1),
    }

    response = cluster.post({"batch": batch}, body_format=way.body_format)

    assert response.content_type == way.body_format.content_type
    assert way.body_format.loads(response.body) == {
        "batch": {MEMBER_KEY: {"result": OTHER_VALUE}, "b": {"result": {"a": 1}}}
    }


@every_single_way
def test_an_error_of_a_raw_response_is_an_envelope(cluster: Cluster, way: Way) -> None:
    """Nothing was written yet, so the client gets an error it can read."""
    error = way.call(cluster, "contract.raw_raises").error

    assert error == {"code": 4242, "value": "no picture"}


# -- HEAD and OPTIONS


def test_head_runs_the_method_and_sends_no_body(cluster: Cluster, tmp_path: Path) -> None:
    """``headers_only`` is set, headers come, and the connection goes on without a rest."""
    path = tmp_path / "facts"
    with cluster.connect() as connection:
        connection.request("HEAD", f"/handler_facts?path={path}")
        head = connection.read_response("HEAD")
        connection.request("GET", "/echo?a=1")
        after = connection.read_response("GET")

    poll_until(path.exists)
    assert path.read_text() == "True"
    assert (head.status, head.body) == (200, b"")
    assert head.content_type == "application/json"
    assert after.result == {"a": "1"}


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/contract/decorated", 201),
        ("/fail?code=4242&value=x", 200),
        ("/kinds/generator", 200),
        ("/raw/page", 200),
        ("/raw/parts", 200),
        ("/no/such", 200),
    ],
)
def test_head_of_anything_has_no_body(cluster: Cluster, target: str, status: int) -> None:
    """Results, errors, streams and raw parts: the next answer begins where it should."""
    with cluster.connect() as connection:
        connection.request("HEAD", target)
        head = connection.read_response("HEAD")
        connection.request("GET", "/echo?a=1")
        after = connection.read_response("GET")

    assert head.status == status
    assert after.result == {"a": "1"}


def test_options_answers_a_preflight_and_runs_nothing(cluster: Cluster) -> None:
    """The lists are fixed, and the method is not called."""
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}

    response = cluster.send("OPTIONS", "/vanish?code=1", headers)

    assert response.status in {200, 204}
    assert response.headers["access-control-allow-origin"] == "https://app.example"
    assert _names(response.headers["access-control-allow-methods"]) == {
        "post",
        "get",
        "head",
        "options",
    }
    assert _names(response.headers["access-control-allow-headers"]) == {
        "x-toto-hmac",
        "x-toto-session-id",
        "origin",
        "content-type",
        "x-request-id",
        "idempotency-key",
        "traceparent",
    }
    exposed = _names(response.headers["access-control-expose-headers"])
    assert exposed == {"x-toto-hmac", "x-request-id", "retry-after"}
    assert len(cluster.worker_pids()) == 2


@pytest.mark.parametrize("verb", ["PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "GETS"])
def test_other_verbs_are_refused(cluster: Cluster, verb: str) -> None:
    """405 names what is allowed."""
    response = cluster.send(verb, "/echo", {}, b"{}" if verb in {"PUT", "PATCH"} else None)

    assert response.status == 405
    assert _names(response.headers["allow"]) == {"post", "get", "head", "options"}


def _names(text: str) -> set[str]:
    return {name.strip().lower() for name in text.split(",")}
